/** Health, flags and housekeeping. */
import t from 'tap'
import { appendActivity } from '../../../services/activity/append.ts'
import { newId } from '../../../services/common/ids.ts'
import { lockGroup } from '../../../services/groups/lock.ts'
import { findFeatures } from '../../../services/ops/features.ts'
import { getFeatureFlags, setFeatureFlag } from '../../../services/ops/flags.ts'
import { keepHouse, startHousekeeping } from '../../../services/ops/housekeeping.ts'
import { probeDatabase } from '../../../services/ops/probe.ts'
import { healthRoutes } from '../../../services/ops/routes/health.ts'
import { startPlugins } from '../../helper/app.ts'
import { deferred, engines, openUrl } from '../../helper/db.ts'
import { failing } from './failing.ts'
import { startWorld } from './world.ts'

const DAY = 86_400_000

for (const engine of engines) {
  void t.test(`ops of the vault on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    const [ann, op] = [await world.person('Ann'), await world.person('Olga', { isOperator: true })]
    const { groupId } = await world.group(ann)

    await t.test('it is alive and ready', async t => {
      t.match(await world.ask('GET', '/healthz'), { status: 200, body: { ok: true, version: /^\d+\./, uptime: Number } })
      t.match(await world.ask('GET', '/readyz'), { status: 200, body: { ok: true, shuttingDown: false, db: { driver: engine, ok: true }, migrations: 'applied' } })
    })

    await t.test('a database that is away makes it not ready', async t => {
      const away = await openUrl(t, world.url)
      await away.close()
      t.match(await probeDatabase(away), { ok: false, catalog: null })
    })

    await t.test('flags: for all, from a plan on, for a group', async t => {
      const features = async (plan = 'free'): Promise<unknown> => (await findFeatures(db, { groupId, plan })).live
      t.equal(await features(), true, 'as the plan says')
      t.match(await world.ask('PUT', '/ops/flags/live', { by: op, body: { enabled: false, description: 'live events' } }), { status: 200, body: { key: 'live', enabled: false, minPlan: null, groups: [] } })
      t.equal(await features(), false)
      await world.ask('PUT', '/ops/flags/live', { by: op, body: { enabled: true, minPlan: 'premium' } })
      t.strictSame([await features(), await features('premium')], [false, true])
      const { body } = await world.ask('PUT', '/ops/flags/live', { by: op, body: { enabled: false, groups: [{ groupId, enabled: true }] } })
      t.match(body, { description: 'live events', groups: [{ groupId, enabled: true }] })
      t.equal(await features(), true)
      await world.ask('PUT', '/ops/flags/live', { by: op, body: { enabled: false, groups: [{ groupId, enabled: null }] } })
      t.equal(await features(), false)
      t.match(await getFeatureFlags(db), [{ key: 'live', enabled: false }])
      const log = await db.prepare(`SELECT actor_user_id, detail FROM audit_log WHERE action = 'flag.set' ORDER BY id`).all()
      t.equal(log.length, 4)
      t.match(log[0], { actor_user_id: op.userId, detail: '{"key":"live","enabled":false,"minPlan":null,"groups":[]}' })
    })

    await t.test('a switch is there with its line in the audit log, or not at all', async t => {
      const change = { key: 'half', enabled: true, minPlan: null, groups: [{ groupId, enabled: true }], actorUserId: op.userId }
      await t.rejects(setFeatureFlag(failing(db, /INTO audit_log/), change, clock.now))
      await t.rejects(setFeatureFlag(db, { ...change, groups: [...change.groups, { groupId: newId('group'), enabled: true }] }, clock.now), { code: 'TDM_ERR_VAULT_NOT_FOUND' })
      t.strictSame(await db.prepare(`SELECT key FROM feature_flags WHERE key = 'half'`).all(), [])
      t.strictSame(await db.prepare(`SELECT key FROM group_features WHERE key = 'half'`).all(), [])
    })

    await t.test('who may, and what', async t => {
      const body = { enabled: true }
      t.match(await world.ask('PUT', '/ops/flags/live', { body }), { status: 401 })
      t.match(await world.ask('PUT', '/ops/flags/live', { by: ann, body }), { status: 403, body: { error: { code: 'FORBIDDEN' } } })
      for (const [path, bad] of [['Live', body], ['live', {}], ['live', { enabled: 'yes' }], ['live', { ...body, minPlan: 'gold' }], ['live', { ...body, groups: [{ groupId: 'x', enabled: true }] }], ['live', { ...body, more: 1 }]] as const) {
        t.match(await world.ask('PUT', `/ops/flags/${path}`, { by: op, body: bad }), { status: 400, body: { error: { code: 'VALIDATION' } } }, JSON.stringify(bad))
      }
    })

    await t.test('what has had its time is forgotten, by one process at a time', async t => {
      const other = await openUrl(t, world.url)
      const [begin, premium] = [clock.now, await world.group(ann, 'rich')]
      await db.prepare(`UPDATE groups SET plan = 'premium' WHERE id = ?`).run(premium.groupId)
      const happen = async (group: string): Promise<void> => {
        await db.tx(async () => {
          await lockGroup(db, group, clock.now)
          await appendActivity(db, { groupId: group, type: 'death', data: {} }, clock.now)
        })
      }
      for (let i = 0; i < 3; i++) for (const group of [groupId, premium.groupId]) await happen(group)
      const insertDelivery = db.prepare(`INSERT INTO outbox (id, group_id, webhook_id, event_id, event_type, group_seq, payload, status, attempts, throttles, next_attempt_at, created_at) VALUES (?, ?, 'w', ?, 'death', 1, '{}', ?, 0, 0, ?, 0)`)
      for (const status of ['delivered', 'dead', 'cancelled', 'pending']) await insertDelivery.run(status, groupId, status, status, begin)
      await db.prepare(`INSERT INTO outbox_attempts (outbox_id, n, started_at, duration_ms) VALUES ('dead', 1, 0, 1)`).run()
      await db.tx(async () => {
        for (let i = 0; i < 450; i++) await db.prepare(`INSERT INTO idempotency_keys (scope, key, request_hash, state, created_at, expires_at) VALUES ('s', ?, 'h', 'done', 0, ?)`).run(String(i), begin)
      })
      await db.prepare(`INSERT INTO pairings (id, device_code_hash, user_code, status, label, plugin_name, plugin_version, interval_s, next_poll_at, expires_at, created_at) VALUES ('p', 'h', 'c', 'pending', 'l', 'n', 'v', 5, 0, ?, 0)`).run(begin)

      t.strictSame(await keepHouse(db, begin), {}, 'nothing yet')
      t.equal(await keepHouse(other, begin + 1), undefined, 'done already')
      clock.now = begin + 31 * DAY
      const both = await Promise.all([keepHouse(db, clock.now), keepHouse(other, clock.now)])
      t.equal(both.filter(gone => gone === undefined).length, 1)
      t.strictSame(both.find(gone => gone !== undefined), { 'events (free)': 3, 'deliveries (delivered)': 1, 'deliveries (dead)': 1, 'deliveries (cancelled)': 1, pairings: 1, 'idempotency keys': 450 })
      t.strictSame(await db.prepare('SELECT id FROM outbox').all(), [{ id: 'pending' }])
      await happen(groupId)
      const seqs = async (group: string): Promise<unknown[]> => (await db.prepare('SELECT group_seq FROM activity_events WHERE group_id = ? ORDER BY group_seq').all(group)).map(row => row.group_seq)
      t.strictSame(await seqs(groupId), [4, 5], 'the last one knows the number of the next')
      t.strictSame(await seqs(premium.groupId), [1, 2, 3, 4])
      t.match(await keepHouse(db, begin + 400 * DAY), { 'events (premium)': 3, sessions: 2 })
    })
  })
}

void t.test('the housekeeping begins by itself, and outlives a failure', async t => {
  const world = await startWorld(t, 'sqlite')
  await world.db.prepare(`INSERT INTO pairings (id, device_code_hash, user_code, status, label, plugin_name, plugin_version, interval_s, next_poll_at, expires_at, created_at) VALUES ('p', 'h', 'c', 'pending', 'l', 'n', 'v', 5, 0, 0, 0)`).run()
  const alive = setInterval(() => {}, 60_000) // which the housekeeping does not keep a process
  t.teardown(() => { clearInterval(alive) })
  for (const [db, message] of [[failing(world.db, /app_meta/), 'the housekeeping failed; it is tried again in ten minutes'], [world.db, 'what has had its time is forgotten']] as const) {
    const said = deferred<string>()
    const say = (_: object, message: string): void => { said.resolve(message) }
    const stop = startHousekeeping(db, { now: () => world.clock.now, log: { info: say, warn: say, error: say } }, { firstMs: 0 })
    t.equal(await said.promise, message)
    await stop()
  }
})

void t.test('it is not ready without its database, and when it is ending', async t => {
  const app = await startPlugins(t, 'sqlite', {}, { return503OnClosing: false })
  healthRoutes(app)
  let address = ''
  app.addHook('preClose', async () => { t.match(await (await fetch(`${address}/api/v1/readyz`)).json(), { ok: false, shuttingDown: true }) })
  address = await app.listen({ port: 0, host: '127.0.0.1' })
  const answer = await app.inject('/api/v1/readyz')
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '1')
  t.match(answer.json(), { ok: false, shuttingDown: false, db: { ok: false }, catalog: null }, 'it has none of the tables')
  t.notMatch(answer.body, /catalog_active/)
  await app.close()
})
