/** The demo group: there is one, it is whole, anybody can look at it and nobody can get in, and it is alive while somebody looks. */
import t from 'tap'
import { DemoLife } from '../../../services/demo/life.ts'
import { holdLease, LEASE_MS } from '../../../services/demo/lease.ts'
import { nextMove, type Scene } from '../../../services/demo/moves.ts'
import { startRandom } from '../../../services/demo/random.ts'
import { seedDemo } from '../../../services/demo/seed.ts'
import { chooseStock, type Stock } from '../../../services/demo/stock.ts'
import { Catalog } from '../../../services/catalog/catalog.ts'
import { readContent, type Pair } from '../../../services/sync/content.ts'
import { CHANNEL } from '../../../services/groups/lock.ts'
import { collectLog, deferred, engines, openTestDatabase } from '../../helper/db.ts'
import { startWorld } from './world.ts'

for (const engine of engines) {
  void t.test(`a demo group, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    const one = async (sql: string, ...params: string[]): Promise<unknown> => (await db.prepare(sql).get(...params))?.value
    const ids = await Promise.all([seedDemo(db, clock.now), seedDemo(db, clock.now)])
    const [{ groupId }] = ids

    void t.test('is made once, whole', async t => {
      t.strictSame(ids.map(({ isNew }) => isNew).sort(), [false, true])
      t.equal((await seedDemo(db, clock.now)).groupId, groupId)
      t.match(await db.prepare('SELECT name, join_code, member_count, is_demo, plan FROM groups WHERE id = ?').get(groupId), { name: 'Demo group', join_code: null, member_count: 5, is_demo: 1, plan: 'free' })
      t.equal(await one('SELECT COUNT(*) AS value FROM containers WHERE group_id = ?', groupId), 5 * 7 + 1)
      t.ok(Number(await one(`SELECT COUNT(*) AS value FROM activity_events WHERE group_id = ? AND type IN ('loot', 'level', 'death')`, groupId)) > 20)
      t.equal(await one('SELECT COUNT(*) AS value FROM identities'), 0, 'nobody can sign in as one of its people')
      const wrong = await one('SELECT COUNT(*) AS value FROM activity_events AS later JOIN activity_events AS earlier ON earlier.group_id = later.group_id AND earlier.group_seq = later.group_seq - 1 WHERE later.created_at < earlier.created_at')
      t.ok(Number(wrong) <= 1, 'its history is in order')
    })

    void t.test('is shown to anybody, and changed by nobody', async t => {
      t.match(await world.ask('GET', `/groups/${groupId}/vault?limit=200`), { status: 200, body: { members: { length: 6 } } })
      const ann = await world.person('Ann')
      t.match(await world.ask('PATCH', `/groups/${groupId}`, { by: ann, body: { name: 'Anns' } }), { status: 404 })
      t.match(await world.ask('GET', `/groups/${groupId}/webhooks`, { by: ann }), { status: 404 })
    })

    void t.test('lives, by one process at a time, and what has happened stays bounded', async t => {
      const log = collectLog()
      const life = new DemoLife({ db, log, now: () => clock.now, random: startRandom(1) })
      const other = new DemoLife({ db, log, now: () => clock.now, random: startRandom(2) })
      const versionOf = async (): Promise<number> => Number(await one('SELECT version AS value FROM groups WHERE id = ?', groupId))
      const before = await versionOf()
      const seq = Number(await one('SELECT MAX(group_seq) AS value FROM activity_events WHERE group_id = ?', groupId))
      for (let i = 0; i < 12; i++) {
        clock.now += 4000
        t.equal(await life.step(), true)
        t.equal(await other.step(), false, 'the other one has the lease')
      }
      const after = await versionOf()
      t.ok(after > before + 4, `${after - before} of 12 steps have changed what they have`)
      clock.now += LEASE_MS
      t.equal(await other.step(), true)
      for (let i = 0; i < 5; i++) await other.step()
      t.ok(await versionOf() > after, 'and the other one goes on where it was')
      clock.now += LEASE_MS
      for (let i = 0; i < 6; i++) t.equal(await life.step(), true, 'and back')
      t.ok(Number(await one('SELECT MAX(group_seq) AS value FROM activity_events WHERE group_id = ?', groupId)) > seq + 4)
      await db.prepare('UPDATE activity_events SET group_seq = group_seq + 1000 WHERE group_id = ? AND group_seq = (SELECT MAX(group_seq) FROM activity_events WHERE group_id = ?)').run(groupId, groupId)
      await life.step()
      t.ok(Number(await one('SELECT COUNT(*) AS value FROM activity_events WHERE group_id = ?', groupId)) <= 2)
      t.strictSame(log.lines, [])
    })

    void t.test('without one there is nothing to do', async t => {
      await db.prepare('UPDATE groups SET deleted_at = ? WHERE id = ?').run(clock.now, groupId)
      const life = new DemoLife({ db, log: collectLog(), now: () => clock.now + LEASE_MS + 1 })
      t.equal(await life.step(), false)
      t.equal((await seedDemo(db, clock.now)).isNew, true)
      t.equal(await holdLease(db, 'x', clock.now), false)
    })
  })
}

void t.test('it is made when the app listens, and watched when it is asked for', async t => {
  const world = await startWorld(t, 'sqlite', { hasDemo: true })
  t.equal(await world.db.prepare('SELECT id FROM groups').get(), undefined, 'not before')
  const made = deferred<unknown>()
  const listener = await world.db.listen(CHANNEL, () => { made.resolve(undefined) })
  const address = await world.app.listen({ port: 0, host: '127.0.0.1' })
  await made.promise
  await listener.close()
  const group = await world.db.prepare('SELECT id FROM groups WHERE is_demo = 1').get()
  const answer = await fetch(`${address}/api/v1/groups/${String(group?.id)}/vault`)
  t.equal(answer.status, 200)
  await answer.body?.cancel()
})

void t.test('a life that is watched', async t => {
  const clock = { now: 1_800_000_000_000 }
  const life = new DemoLife({ db: await openTestDatabase(t, 'sqlite'), log: collectLog(), now: () => clock.now })
  t.equal(life.isWatched, false)
  const leave = life.watch()
  clock.now += 3_600_000
  t.equal(life.isWatched, true, 'as long as a stream is open')
  leave()
  t.equal(life.isWatched, true, 'and for a minute')
  clock.now += 60_000
  t.equal(life.isWatched, false)
  await life.stop()
})

void t.test('whatever is done, nothing comes from nowhere and all fits', async t => {
  const random = startRandom(3)
  const stock: Stock = chooseStock(new Catalog({ snapshotId: undefined, version: 0, pricesKey: '' }, new Map(), new Map()), random)
  let scene: Scene = { inventory: [], bank: [], shared: readContent('shared', [[1, 5], [2, 5], [3, 5], [4, 5], [5, 5], [6, 5], [7, 5], [8, 5], [9, 2_147_483_647]], '').slots }
  const totals = (at: Scene): number => [at.inventory, at.bank, at.shared].flat().reduce((sum, { quantity }) => sum + quantity, 0)
  for (let i = 0; i < 2000; i++) {
    const before = totals(scene)
    const { contents, happened } = nextMove(scene, stock, random)
    const read = (name: 'inventory' | 'bank' | 'shared'): Scene['bank'] => {
      const pairs: readonly Pair[] | undefined = contents.get(name)
      return pairs === undefined ? scene[name] : readContent(name, pairs, '').slots
    }
    scene = { inventory: read('inventory'), bank: read('bank'), shared: read('shared') }
    const gained = happened?.type === 'loot' ? Number(happened.data.quantity) : 0
    if (totals(scene) !== before + gained) return t.fail(`step ${i}: ${before} + ${gained} became ${totals(scene)}`)
  }
  t.ok(scene.inventory.length <= 28 && scene.bank.length > 5, 'and it went to the bank')
})
