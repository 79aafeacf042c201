/** The connection that listens: lost, cut, silent, not to be had; and that nothing of it stays behind. */
import { setImmediate } from 'node:timers/promises'
import { once } from 'node:events'
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { parseAddress } from '../../../plugins/db/postgres/address.ts'
import { connectFirst } from '../../../plugins/db/postgres/connect.ts'
import { Listening } from '../../../plugins/db/postgres/listening.ts'
import type { ChannelEvent, Limits } from '../../../plugins/db/types.ts'
import { collectLog, freshUrl, openUrl } from '../../helper/db.ts'
import { startProxy } from '../../helper/proxy.ts'

const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }

/** A client of the test's own, for what the layer must not see. */
async function admin (t: Test, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'admin' })
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

/** Keeps what it is told; `until(n)` resolves when there were n. */
function recorder (): { events: string[], fn: (event: ChannelEvent) => void, until: (count: number) => Promise<string[]> } {
  const events: string[] = []
  let wake = (): void => {}
  return {
    events,
    fn: ({ payload = 'gap' }) => { events.push(payload); wake() },
    until: async count => {
      while (events.length < count) await new Promise<void>(resolve => { wake = resolve })
      return events
    }
  }
}

async function pidsOfListeners (client: pg.Client): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%LISTEN %' AND pid <> pg_backend_pid()")
  return rows.map(({ pid }) => pid)
}

async function killListener (client: pg.Client): Promise<void> {
  for (const pid of await pidsOfListeners(client)) await client.query('SELECT pg_terminate_backend($1, 5000)', [pid])
}

void t.test('what others send is heard, from this process and from another one', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const { fn, until } = recorder()
  await db.listen('News "1"', fn)
  const client = await admin(t, url)
  await client.query('NOTIFY "News ""1""", \'from another client\'')
  await until(1)
  const child = fork(fileURLToPath(new URL('../../helper/notifier.ts', import.meta.url)), [url, 'News "1"', 'from another process'])
  await once(child, 'exit')
  t.strictSame(await until(2), ['from another client', 'from another process'])
})

void t.test('all listeners share one connection, beside those of DB_POOL_MAX, opened with the first and closed with the last', async t => {
  const url = await freshUrl(t, 'postgres')
  const client = await admin(t, url)
  const db = await openUrl(t, url, { DB_POOL_MAX: '1' })
  t.strictSame(await pidsOfListeners(client), [])
  const listeners = await Promise.all(['a', 'b', 'c', 'c'].map(async channel => await db.listen(channel, () => {})))
  t.equal((await pidsOfListeners(client)).length, 1)
  await db.tx(async tx => {
    await tx.prepare('SELECT 1').get()
    const { n } = (await client.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fastify-tandem'")).rows[0] ?? {}
    t.equal(n, 2)
  })
  for (const listener of listeners) await listener.close()
  while ((await pidsOfListeners(client)).length > 0) await setImmediate()
  const { fn, until } = recorder()
  await db.listen('a', fn)
  await db.notify('a', 'again')
  t.strictSame(await until(1), ['again'])
})

void t.test('a backend that is killed: it listens again, and each listener is told of one gap', async t => {
  const url = await freshUrl(t, 'postgres')
  const log = collectLog()
  const db = await openUrl(t, url, {}, log)
  const client = await admin(t, url)
  const first = recorder()
  const second = recorder()
  await db.listen('a', first.fn)
  await db.listen('b', second.fn)
  await killListener(client)
  await Promise.all([first.until(1), second.until(1)])
  await db.notify('a', 'after')
  await db.notify('b', 'after')
  await Promise.all([first.until(2), second.until(2)])
  await killListener(client)
  await Promise.all([first.until(3), second.until(3)])
  await db.notify('a', 'last')
  await db.notify('b', 'last')
  t.strictSame(await first.until(4), ['gap', 'after', 'gap', 'last'])
  t.strictSame(await second.until(4), ['gap', 'after', 'gap', 'last'])
  t.strictSame(log.lines.map(({ level }) => level), ['warn', 'info', 'warn', 'info'])
})

void t.test('a long outage is one gap, and who began to listen in it is told of none', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url)
  const direct = await openUrl(t, url)
  const before = recorder()
  await db.listen('a', before.fn)
  proxy.cutOff()
  const during = recorder()
  const listening = db.listen('a', during.fn)
  await direct.notify('a', 'missed')
  await t.rejects(db.deadline(600, async () => await db.listen('a', () => {})), { code: 'TDM_ERR_DB_CONNECTION', sql: 'LISTEN' })
  proxy.restore()
  await listening
  await before.until(1)
  await direct.notify('a', 'last')
  t.strictSame(await before.until(2), ['gap', 'last'])
  t.strictSame(await during.until(1), ['last'])
})

void t.test('a server that cannot be reached at first is waited for, as long as the limits allow', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const db = await openUrl(t, proxy.url)
  proxy.cutOff()
  await t.rejects(db.deadline(600, async () => await db.listen('a', () => {})), { code: 'TDM_ERR_DB_CONNECTION' })
  const abort = new AbortController()
  const aborted = db.signal(abort.signal, async () => await db.listen('a', () => {}))
  abort.abort()
  await t.rejects(aborted, { code: 'TDM_ERR_DB_ABORTED' })
  const { fn, until } = recorder()
  const listening = db.listen('a', fn)
  proxy.restore()
  await listening
  await db.notify('a', 'last')
  t.strictSame(await until(1), ['last'])
})

void t.test('a database that is closed meanwhile ends the wait', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const db = await openUrl(t, proxy.url)
  proxy.cutOff()
  const waiting = t.rejects(db.listen('a', () => {}), { code: 'TDM_ERR_DB_CLOSED' })
  await db.close()
  await waiting
})

void t.test('a connection that went silent is found by the probe', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const direct = await openUrl(t, url)
  const addresses = [proxy.url, url].map(parseAddress)
  const listening = new Listening(async () => await connectFirst(addresses.shift() ?? parseAddress(url)), { waitMs: 5000, probeMs: 50 }, collectLog())
  t.teardown(async () => { await listening.close() })
  const { fn, until } = recorder()
  await listening.listen('a', fn, unlimited)
  await direct.notify('a', 'before')
  await until(1)
  proxy.goSilent()
  await direct.notify('a', 'missed')
  await until(2)
  await direct.notify('a', 'last')
  t.strictSame(await until(3), ['before', 'gap', 'last'])
})

void t.test('closing does not wait for a server that went silent', async t => {
  const url = await freshUrl(t, 'postgres')
  const proxy = await startProxy(t, url)
  const listening = new Listening(async () => await connectFirst(parseAddress(proxy.url)), { waitMs: 5000 }, collectLog())
  await listening.listen('a', () => {}, unlimited)
  proxy.goSilent()
  const since = performance.now()
  await listening.close()
  t.ok(performance.now() - since < 4000)
})

void t.test('an error that does not pass is told to who waits, and is not the end', async t => {
  const url = await freshUrl(t, 'postgres')
  const wrong = new URL(url)
  wrong.pathname = '/no_such_database'
  let address = wrong.href
  const listening = new Listening(async () => await connectFirst(parseAddress(address)), { waitMs: 60_000 }, collectLog())
  t.teardown(async () => { await listening.close() })
  await t.rejects(listening.listen('a', () => {}, unlimited), { code: /^TDM_ERR_DB_/, cause: { code: '3D000' } })
  address = url
  await listening.listen('a', () => {}, unlimited)
})

void t.test('behind a pooler in transaction mode nothing can be listened to, and that is said', async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  proxy.replace('pg_backend_pid()', '(1+0000000000+0)') // as a pooler, whose own number is another one
  const db = await openUrl(t, proxy.url)
  await t.rejects(db.listen('a', () => {}), { code: 'TDM_ERR_EVENTS_POOLED', message: /pool_mode=session/ })
  await db.notify('a', 'works')
})

void t.test('what was sent by a transaction whose connection is lost is not told', async t => {
  const url = await freshUrl(t, 'postgres')
  const db = await openUrl(t, url)
  const client = await admin(t, url)
  const { fn, until } = recorder()
  await db.listen('a', fn)
  await t.rejects(db.tx(async tx => {
    await tx.notify('a', 'never')
    await client.query('SELECT pg_terminate_backend($1, 5000)', [(await tx.prepare('SELECT pg_backend_pid() AS pid').get())?.pid])
    await tx.notify('a', 'never either')
  }), { code: 'TDM_ERR_DB_CONNECTION' })
  await db.notify('a', 'last')
  t.strictSame(await until(1), ['last'])
})
