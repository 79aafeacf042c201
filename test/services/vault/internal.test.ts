/** The internal routes: who may ask, what is told, and that a database is reset only if it was made for that, whole or not at all. */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { CHANNEL } from '../../../services/groups/lock.ts'
import { markEnvironment, isDev } from '../../../services/internal/store/environment.ts'
import { toText } from '../../../services/internal/exposition.ts'
import { keptTables, wipedTables, wipeRuntimeData } from '../../../services/internal/store/wipe.ts'
import { deferred, engines } from '../../helper/db.ts'
import { root } from '../../helper/paths.ts'
import { whileRefused } from './failing.ts'
import { startWorld, type Answer } from './world.ts'

const KEY = '0123456789abcdef0123456789abcdef'
const headers = { 'x-internal-key': KEY }
const env = { VAULT_INTERNAL_KEY: KEY }

void t.test('without a key there is nothing to be found', async t => {
  const world = await startWorld(t, 'sqlite')
  t.match(await world.ask('GET', '/internal/metrics', { headers }), { status: 404, body: { error: { code: 'NOT_FOUND' } } })
})

void t.test('with one, only from the networks, and only with it', async t => {
  const world = await startWorld(t, 'sqlite', { env: { ...env, VAULT_INTERNAL_NETWORKS: '10.1.0.0/16,2001:db8::/32,127.0.0.0/8' } })
  const from = async (remoteAddress: string, more: Record<string, string> = headers): Promise<number> =>
    (await world.app.inject({ method: 'GET', url: '/api/v1/internal/metrics', remoteAddress, headers: more })).statusCode
  for (const address of ['10.1.2.3', '127.0.0.1', '::ffff:10.1.2.3', '2001:db8::1']) t.equal(await from(address), 200, address)
  for (const address of ['10.2.0.1', '192.168.0.1', '::1', '2001:db9::1']) t.equal(await from(address), 403, address)
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip']) t.equal(await from('127.0.0.1', { ...headers, [name]: '127.0.0.1' }), 403, name)
  t.match(await world.ask('GET', '/internal/metrics'), { status: 401, body: { error: { code: 'BAD_KEY' } } })
  t.match(await world.ask('GET', '/internal/metrics', { headers: { 'x-internal-key': KEY.replace('f', 'e') } }), { status: 401 })
  t.match(await world.ask('POST', '/internal/outbox/run', { body: {} }), { status: 401 })
})

void t.test('the outbox is among the metrics of operators', async t => {
  const world = await startWorld(t, 'sqlite', { env: { OPS_TOKEN: KEY } })
  const { text } = await world.ask('GET', '//ops/metrics', { headers: { authorization: `Bearer ${KEY}` } })
  for (const line of ['vault_outbox{status="pending"} 0', 'vault_outbox{status="dead"} 0', 'vault_outbox_overdue_seconds 0']) t.ok(text.includes(line), line)
})

for (const engine of engines) {
  void t.test(`internal routes, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { env })

    void t.test('what a database is for is decided once', async t => {
      t.equal(await isDev(world.db), true, 'it was empty when it was first used')
      await markEnvironment(world.db, false)
      t.equal(await isDev(world.db), true)
      await world.db.prepare(`DELETE FROM app_meta WHERE key = 'environment'`).run()
      await markEnvironment(world.db, false)
      await markEnvironment(world.db, true)
      t.equal(await isDev(world.db), false, 'first used in production')
      await world.db.prepare(`DELETE FROM app_meta WHERE key = 'environment'`).run()
      await world.person('Ann')
      await markEnvironment(world.db, true)
      t.equal(await isDev(world.db), false, 'somebody was there already')
    })

    void t.test('metrics, and the outbox at once', async t => {
      await world.ask('GET', '/billing/plans')
      const ann = await world.person('Ann')
      const group = await world.group(ann)
      const { groupId } = group
      const by = await world.plugin(ann, group)
      const { body: { epoch } } = await world.ask<{ epoch: number }>('POST', '/sync/sessions', { by, body: { accountHash: '1', characterName: 'Iron Ann', clientTime: new Date(world.clock.now).toISOString() } })
      for (let i = 0; i < 2; i++) await world.ask('POST', '/sync/containers', { by, body: { epoch, seq: 1, capturedAt: new Date(world.clock.now).toISOString(), containers: { bank: { items: [[995, 1]] } } } })
      const receiver = await startReceiver(t)
      const made = await world.ask<{ webhook: { id: string } }>('POST', `/groups/${groupId}/webhooks`, { by: ann, body: { kind: 'generic', url: receiver.url, events: ['member.joined'], label: 'x' } })
      t.equal(made.status, 201, made.text)
      const deadId = 'dlv_01890000-0000-7000-8000-000000000001'
      await world.db.prepare(`
        INSERT INTO outbox (id, group_id, webhook_id, event_id, event_type, group_seq, payload, status, attempts, throttles, next_attempt_at, created_at)
        VALUES (?, ?, ?, 'evt_1', 'member.joined', 1, '{}', 'dead', 8, 0, ?, ?)`)
        .run(deadId, groupId, made.body.webhook.id, world.clock.now - 90_000, world.clock.now - 90_000)

      const { status, text, headers: given } = await world.ask('GET', '/internal/metrics', { headers })
      t.equal(status, 200)
      t.match(given['content-type'], /^text\/plain; version=0\.0\.4/)
      t.match(text, /^# TYPE vault_requests_total counter$/m)
      t.match(text, /^vault_requests_total\{family="billing",status="200"\} \d+$/m)
      for (const result of ['applied', 'stale']) t.match(text, new RegExp(`^vault_sync_results_total\\{result="${result}"\\} [1-9]`, 'm'))
      t.match(text, /^vault_outbox\{status="dead"\} 1$/m)
      t.match(text, /^vault_outbox_overdue_seconds 0$/m)
      t.match(text, /^vault_db_used\{queue="\w+"\} \d+$/m)
      t.match(text, /^vault_sse_streams \d+$/m)

      await world.db.prepare(`UPDATE outbox SET status = 'sending', lease_owner = 'somebody', lease_until = ? WHERE id = ?`).run(world.clock.now + 60_000, deadId)
      t.match((await world.ask('GET', '/internal/metrics', { headers })).text, /^vault_outbox_overdue_seconds 90$/m)
      await world.db.prepare(`UPDATE outbox SET status = 'dead' WHERE id = ?`).run(deadId)

      t.match(await world.ask('POST', '/internal/outbox/run', { headers, body: {} }), { status: 200, body: { claimed: 0, delivered: 0, retried: 0, dead: 0 } })
      t.match(await world.ask('POST', '/internal/outbox/run', { headers, body: { max: 5, requeueDead: [deadId] } }), { status: 200, body: { retried: 0, dead: 0 } })
      await receiver.arrived
      t.match(await world.ask('POST', '/internal/outbox/run', { headers, body: { max: 0 } }), { status: 400 })
    })

    void t.test('a reset is whole, or did not happen', async t => {
      const { db } = world
      await db.prepare(`UPDATE app_meta SET value = 'dev' WHERE key = 'environment'`).run()
      await wipeRuntimeData(db)
      const ann = await world.person('Ann')
      const made = await world.group(ann)
      await world.plugin(ann, made)
      const reset = async (body: object): Promise<Answer<{ wiped: Record<string, number> | null, rows: Record<string, number> }>> => await world.ask('POST', '/internal/dev/reset', { headers, body })
      const countGroups = async (): Promise<unknown> => (await db.prepare('SELECT COUNT(*) AS count FROM groups').get())?.count

      await whileRefused(db, 'INSERT', 'activity_events', async () => { t.equal((await reset({ wipe: true, seed: true })).status, 500, 'the last thing that it does fails') }, { type: 'level' })
      t.equal(await countGroups(), 1, 'the seed has failed, so nothing was wiped')
      t.match(await world.ask('GET', `/billing/groups/${made.groupId}`, { by: ann }), { status: 200 })

      t.match(await reset({ wipe: false, seed: true }), { status: 200, body: { wiped: null, rows: { groups: 2, users: 6 } } })
      const gone = deferred<unknown>()
      const listener = await db.listen(CHANNEL, ({ payload }) => { if (payload?.includes(made.groupId) === true && payload.includes('deleted')) gone.resolve(undefined) })
      t.match(await reset({ wipe: true, seed: true }), { status: 200, body: { wiped: { groups: 2, users: 6, sessions: 1, members: 8, plugin_tokens: 6 }, rows: { groups: 1, users: 5, sessions: 0, subscriptions: 0 } } })
      await gone.promise
      await listener.close()
      t.match(await reset({ wipe: true, seed: false }), { status: 200, body: { wiped: { groups: 1 }, rows: { groups: 0, activity_events: 0 } } })
      t.match(await reset({ wipe: true }), { status: 400 })
      t.match(await world.ask('POST', '/internal/dev/reset', { headers: { ...headers, host: 'vault.example.org' }, body: { wipe: true, seed: true } }), { status: 404 })
      t.match(await world.ask('POST', '/internal/dev/reset', { body: { wipe: true, seed: true } }), { status: 401 })

      await db.prepare(`UPDATE app_meta SET value = 'live' WHERE key = 'environment'`).run()
      t.match(await reset({ wipe: true, seed: true }), { status: 409, body: { error: { code: 'NOT_DEV' } } })
      await world.person('Bob')
      t.equal((await db.prepare('SELECT COUNT(*) AS count FROM users').get())?.count, 1)
    })
  })
}

void t.test('in production there is no reset', async t => {
  const world = await startWorld(t, 'sqlite', { env: { ...env, NODE_ENV: 'production' } })
  t.match(await world.ask('POST', '/internal/dev/reset', { headers, body: { wipe: true, seed: true } }), { status: 404 })
})

void t.test('a reset knows every table', async t => {
  const tables = vaultMigrations().flatMap(sql => [...sql.matchAll(/^CREATE TABLE (\w+)/gm)].map(([, name = '']) => name))
  t.strictSame([...wipedTables, ...keptTables].sort(), tables.sort())
})

/** All that the migrations of the services say. */
function vaultMigrations (): string[] {
  return ['auth', 'groups', 'sync', 'vault', 'activity', 'catalog', 'billing', 'ops'].flatMap(name => {
    const folder = new URL(`services/${name}/migrations/`, root)
    return readdirSync(folder).filter(file => file.endsWith('.sql')).map(file => readFileSync(new URL(file, folder), 'utf8'))
  })
}

void t.test('metrics are text with what must be escaped escaped', async t => {
  t.equal(toText([{ name: 'a', help: 'What.', type: 'gauge', samples: [{ labels: {}, value: 1 }, { labels: { x: 'q"\\\n' }, value: 2 }] }]), '# HELP a What.\n# TYPE a gauge\na 1\na{x="q\\"\\\\\\n"} 2\n')
})

/** `arrived`: when there was a request. */
async function startReceiver (t: { teardown: (fn: () => void) => void }): Promise<{ url: string, arrived: Promise<unknown> }> {
  const arrived = deferred<unknown>()
  const server = createServer((request, response) => {
    request.resume()
    response.end()
    arrived.resolve(undefined)
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, arrived: arrived.promise }
}
