/**
 * The web servers that are measured, by engine: Fastify alone, with this package's plugins, with `@fastify/postgres` as its documents show it, and with each library of
 * ../contenders in its routes.
 *
 * What is kept true: the same routes, the same rows, at most 10 connections. `read` answers one row by its id; `move` is a transaction of three statements.
 */
import fastifyPostgres from '@fastify/postgres'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import type { EngineName } from '../../plugins/db/types.ts'
import tx from '../../plugins/tx/index.ts'
import { CONNECTIONS, type Entrant } from '../contenders/contender.ts'
import { numbered, sql, type Item } from '../contenders/data.ts'
import { entrants } from '../contenders/index.ts'
import { asNamed, asText, FASTIFY_POSTGRES, transferBy, type Ask } from '../contenders/pg-drivers.ts'
import { OURS, OURS_NOT_AWAITED, prepareTransfer, transferAwaited, transferNotAwaited } from '../contenders/tandem.ts'
import { BridgeClient } from './bridge-client.ts'
import type { HttpContender, Routes } from './contender.ts'

export { OURS, OURS_NOT_AWAITED }
export const HELLO = 'hello, without a database'
export const OURS_READ_TX = 'fastify-tandem, in a read transaction'
export const PG_TEXT = '@fastify/postgres, text'
export const PG_NAMED = '@fastify/postgres, named'
export const BRIDGE_POLL = 'bridge, poll'
export const BRIDGE_NOTIFY = 'bridge, notify'

const hello: HttpContender = { name: HELLO, reads: true, moves: false, open: async () => ({ read: async id => ({ id, a: 1, b: 'hello', c: 0.5 }) }) }

// --- ours ------------------------------------------------------------------------------------------------------------------------

interface Own { readonly name: string, readonly hasReadTx?: boolean, readonly isAwaited?: boolean }

/** With the plugins as an app registers them, so that the transaction of `move` is the request's. */
const own = (engine: EngineName, { name, hasReadTx = false, isAwaited = true }: Own): HttpContender => ({
  name,
  reads: isAwaited,
  moves: !hasReadTx,
  async open (app, target) {
    await app.register(config, { env: { DATABASE_URL: engine === 'sqlite' ? `sqlite:${target}` : target, DB_POOL_MAX: String(CONNECTIONS) } })
    await app.register(db)
    await app.register(tx)
    const point = app.db.prepare<Item>(sql.point)
    const statements = prepareTransfer(app.db)
    const transfer = isAwaited ? transferAwaited : transferNotAwaited
    return {
      read: id => point.get(id),
      readOptions: hasReadTx ? {} : { config: { tx: false } },
      move: id => transfer(statements, id)
    }
  }
})

const ours = (engine: EngineName): HttpContender[] => [own(engine, { name: OURS }), own(engine, { name: OURS_READ_TX, hasReadTx: true }), own(engine, { name: OURS_NOT_AWAITED, isAwaited: false })]

// --- @fastify/postgres -----------------------------------------------------------------------------------------------------------

const plugin = (name: string, ask: Ask): HttpContender => ({
  name,
  reads: true,
  moves: true,
  async open (app, url) {
    await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
    return {
      read: async id => (await ask(app.pg, 'point', id))[0],
      move: (account, { pg }: FastifyRequest) => transferBy(ask, pg as NonNullable<FastifyRequest['pg']>, account),
      moveOptions: { pg: { transact: true } }
    }
  }
})

// --- the others ------------------------------------------------------------------------------------------------------------------

/** In a route, it is called as anywhere. */
const inRoute = ({ name, needs = [], can, open }: Entrant): HttpContender => ({
  name,
  needs,
  reads: can.includes('point'),
  moves: can.includes('transfer'),
  async open (_: FastifyInstance, target): Promise<Routes> {
    const { point, transfer } = await open(target)
    return { ...point === undefined ? {} : { read: point }, ...transfer === undefined ? {} : { move: transfer } }
  }
})

/** They are there with their plugins. */
const withPlugins: ReadonlySet<string> = new Set([OURS, OURS_NOT_AWAITED, FASTIFY_POSTGRES])

const others = (engine: EngineName): HttpContender[] => entrants[engine].filter(({ name }) => !withPlugins.has(name)).map(inRoute)

export const httpContenders: Readonly<Record<EngineName, readonly HttpContender[]>> = {
  sqlite: [hello, ...ours('sqlite'), ...others('sqlite')],
  postgres: [hello, ...ours('postgres'), plugin(PG_TEXT, asText), plugin(PG_NAMED, asNamed), ...others('postgres')]
}

const bridge = (name: string, notifies: boolean): HttpContender => ({
  name,
  reads: true,
  moves: false,
  async open (_, url) {
    const client = await BridgeClient.open(url, notifies)
    return { read: async id => client.query(numbered(sql.point), [id])[0] }
  }
})

/** For bridge.ts only. */
export const bridgeContenders: readonly HttpContender[] = [bridge(BRIDGE_POLL, false), bridge(BRIDGE_NOTIFY, true)]
