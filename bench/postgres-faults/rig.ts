/** The servers of the fault run, the ways to them, and how each of them is hurt. Every fault ends by itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '../../test/helper/pg.ts'
import { findPgBouncers, PgBouncer } from '../../test/helper/pgbouncer.ts'
import { PostgresServer } from '../../test/helper/postgres-server.ts'
import { Proxy } from '../../test/helper/proxy.ts'
import type { Random } from '../faults/random.ts'

export type Fault = (random: Random) => void | Promise<void>

export interface Rig {
  readonly server: PostgresServer
  readonly paths: ReadonlyArray<{ readonly name: string, readonly url: string }>
  /** Often, by weight. */
  readonly often: Readonly<Record<string, { readonly weight: number, readonly hurt: Fault }>>
  /** Now and then, in turn. */
  readonly rare: Readonly<Record<string, Fault>>
  /** No more faults. */
  readonly calm: () => void
  /** What PgBouncer may keep when its clients are gone. */
  readonly keptConnections: number
  /** Connections that clients have with the server, ours not counted. */
  readonly countConnections: () => Promise<number>
  readonly stop: () => Promise<void>
}

export interface RigOptions {
  readonly seed: number
  /** 'newest', 'none', or a version that begins so. */
  readonly pgbouncer: string
}

const BOUNCER_POOL = 6
const APP = 'fastify-tandem'

export async function startRig ({ seed, pgbouncer }: RigOptions): Promise<Rig> {
  const server = await PostgresServer.start({ settings: { deadlock_timeout: '100ms', idle_in_transaction_session_timeout: '10s' } })
  const proxy = await Proxy.start(server.url, { seed, records: false })
  const bouncer = await startBouncer(server, pgbouncer)
  const paths = [{ name: 'direct', url: server.url }, { name: 'by the proxy', url: proxy.url }]
  if (bouncer !== undefined) paths.push({ name: `by PgBouncer ${bouncer.program.version}`, url: bouncer.url })
  return {
    server,
    paths,
    often: oftenOn(server, proxy),
    rare: { ...rareOn(server, proxy), ...(bouncer === undefined ? {} : rareOnBouncer(bouncer)) },
    calm: () => { proxy.calm() },
    keptConnections: bouncer === undefined ? 0 : BOUNCER_POOL,
    countConnections: async () => {
      const [row] = await ask<{ n: number }>(server.url, "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
      return row?.n ?? NaN
    },
    stop: async () => {
      await proxy.close()
      await bouncer?.stop()
      await server.stop()
    }
  }
}

async function startBouncer (server: PostgresServer, wanted: string): Promise<PgBouncer | undefined> {
  if (wanted === 'none') return undefined
  const program = (await findPgBouncers()).filter(({ version }) => wanted === 'newest' || version.startsWith(wanted)).at(-1)
  if (program !== undefined) return await PgBouncer.start({ server, program, poolSize: BOUNCER_POOL })
  if (wanted !== 'newest') throw new Error(`--pgbouncer: there is no ${wanted}`)
  return undefined
}

function oftenOn (server: PostgresServer, proxy: Proxy): Rig['often'] {
  // one at a time: while nobody is connected they would pile up, and then meet each attempt to connect
  const arm = (cut: () => void): void => { proxy.disarm(); cut() }
  return {
    'terminate a backend': { weight: 4, hurt: async random => { await terminate(server, random).catch(() => {}) } }, // while it restarts there is none
    'cut after bytes of the server': { weight: 4, hurt: random => { arm(() => { proxy.cutAfter(random.between(0, 400), 'server', random.chance(0.5) ? 'reset' : 'close') }) } },
    'cut after bytes of a client': { weight: 4, hurt: random => { arm(() => { proxy.cutAfter(random.between(0, 400), 'client', random.chance(0.5) ? 'reset' : 'close') }) } },
    'lose a COMMIT': { weight: 1, hurt: () => { arm(() => { proxy.cutAt('COMMIT', 'before') }) } },
    'lose the answer to a COMMIT': { weight: 1, hurt: () => { arm(() => { proxy.cutAt('COMMIT', 'after', 'reset') }) } },
    'cut some': { weight: 1, hurt: () => { proxy.cut('reset', 0.3) } },
    'answers in pieces': { weight: 1, hurt: async random => { await forAWhile(() => { proxy.split(random.between(1, 9)) }, () => { proxy.split(Infinity) }, 300) } },
    'answers late, as one': { weight: 1, hurt: async random => { await forAWhile(() => { proxy.coalesce(random.between(1, 40)) }, () => { proxy.coalesce(0) }, 300) } }
  }
}

function rareOn (server: PostgresServer, proxy: Proxy): Rig['rare'] {
  return {
    'restart, fast': async () => { await server.restart('fast') },
    'half-open connections': async random => { await forAWhile(() => { proxy.silence(0.5) }, () => { proxy.restore() }, random.between(1000, 6000)) },
    'restart, immediate': async () => { await server.restart('immediate') },
    'server stopped for a while': async random => {
      await server.pause()
      await sleep(random.between(500, 4500))
      await server.resume()
    },
    'kill -9 the server': async () => { await server.kill() },
    'server down for a while': async random => {
      await server.down('fast')
      await sleep(random.between(500, 2500))
      await server.up()
    },
    'cut all': () => { proxy.cut() }
  }
}

function rareOnBouncer (bouncer: PgBouncer): Rig['rare'] {
  return {
    'restart PgBouncer': async () => { await bouncer.restart('immediate') },
    'kill -9 PgBouncer': async () => { await bouncer.restart('kill') },
    'PgBouncer stopped for a while': async random => {
      await bouncer.pause()
      await sleep(random.between(500, 4500))
      await bouncer.resume()
    }
  }
}

/** One of the app's or of PgBouncer's, busy ones preferred half of the time. */
async function terminate (server: PostgresServer, random: Random): Promise<void> {
  const busy = random.chance(0.5) ? "AND state <> 'idle'" : ''
  const list = await ask<{ pid: number }>(server.url, `SELECT pid FROM pg_stat_activity WHERE application_name = $1 ${busy} ORDER BY pid`, [APP])
  const victim = list[random.between(0, Math.max(0, list.length - 1))]
  if (victim !== undefined) await ask(server.url, 'SELECT pg_terminate_backend($1)', [victim.pid])
}

async function forAWhile (begin: () => void, end: () => void, ms: number): Promise<void> {
  begin()
  await sleep(ms)
  end()
}
