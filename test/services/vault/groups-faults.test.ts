/** T2, T3, T5, T6 and the group's part of T16: wherever such a transaction fails, nothing of it is there; and T18: a summary is of one moment. */
import t from 'tap'
import { engines } from '../../helper/db.ts'
import { createGroup } from '../../../services/groups/create-group.ts'
import { softDeleteGroup } from '../../../services/groups/delete-group.ts'
import { setJoinCode } from '../../../services/groups/join-code.ts'
import { joinGroupByCode } from '../../../services/groups/join-group.ts'
import { leaveGroup } from '../../../services/groups/remove-member.ts'
import { getGroupSummary, oneSnapshot } from '../../../services/groups/summary.ts'
import { transferOwnership } from '../../../services/groups/transfer-ownership.ts'
import { newId } from '../../../services/common/ids.ts'
import { whileRefused } from './failing.ts'
import { fill, hear, rowsOf } from './groups-helper.ts'
import { startWorld } from './world.ts'

const ofDeletion = [
  ['UPDATE', 'groups'], ['UPDATE', 'members'], ['UPDATE', 'plugin_tokens'], ['DELETE', 'container_items'], ['DELETE', 'containers'], ['DELETE', 'sync_marks'], ['UPDATE', 'pairings'], ['DELETE', 'webhooks'],
  ['UPDATE', 'outbox'], ['INSERT', 'audit_log']
] as const

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    const { ann, bob, group, memberId } = await fill(world)
    const [cyd, actor] = [await world.person('Cyd'), { groupId: group.groupId, userId: ann.userId }]
    // paused, so that nobody delivers
    await db.prepare(`INSERT INTO webhooks (id, group_id, kind, label, url_enc, url_hint, events, enabled, failures, paused_until, created_by, created_at, updated_at) VALUES (?, ?, 'generic', 'x', 'x', 'x', '["member.joined"]', 1, 0, ?, ?, 1, 1)`)
      .run(newId('webhook'), group.groupId, 2 * clock.now, ann.userId)
    await db.tx(async () => { await joinGroupByCode(db, { code: group.joinCode, userId: cyd.userId, displayName: 'Cyd' }, clock.now) })
    const { id: cydId } = await db.prepare('SELECT id FROM members WHERE user_id = ?').get(cyd.userId) ?? {}
    const eve = await world.person('Eve')

    const operations: ReadonlyArray<readonly [name: string, run: () => Promise<unknown>, writes: ReadonlyArray<readonly ['INSERT' | 'UPDATE' | 'DELETE', string]>]> = [
      ['T2 create', async () => await createGroup(db, { name: 'New', ownerUserId: ann.userId, ownerName: 'Ann' }, clock.now), [['INSERT', 'groups'], ['INSERT', 'members'], ['INSERT', 'group_changes'], ['INSERT', 'activity_events']]],
      ['T3 join', async () => await joinGroupByCode(db, { code: group.joinCode, userId: eve.userId, displayName: 'Eve' }, clock.now), [['UPDATE', 'groups'], ['INSERT', 'members'], ['INSERT', 'group_changes'], ['INSERT', 'activity_events'], ['INSERT', 'outbox']]],
      ['T5 transfer', async () => { await transferOwnership(db, actor, memberId, clock.now) }, [['UPDATE', 'groups'], ['UPDATE', 'members'], ['INSERT', 'group_changes'], ['INSERT', 'audit_log']]],
      ['T6 rotate', async () => await setJoinCode(db, actor, 'rotate', clock.now), [['UPDATE', 'groups'], ['INSERT', 'group_changes'], ['INSERT', 'audit_log']]],
      ['T16 delete', async () => { await softDeleteGroup(db, actor, { confirm: 'Anns' }, clock.now) }, ofDeletion]
    ]

    for (const [name, run, writes] of operations) {
      await t.test(`${name}: wherever it fails, nothing of it is there`, async t => {
        const before = await rowsOf(db)
        const news = await hear(t, world)
        for (const [write, table] of writes) await whileRefused(db, write, table, async () => { await t.rejects(run(), `${write} ${table}`) })
        t.strictSame(await rowsOf(db), before)
        t.strictSame(await news(), [], 'nor is anybody told')
      })
    }

    await t.test('the second of two rows that make an owner fails: there is one owner all the same', async t => {
      const before = await rowsOf(db)
      await db.exec(`CREATE UNIQUE INDEX no_second_admin ON members (group_id) WHERE role = 'admin'`)
      await db.prepare(`UPDATE members SET role = 'admin' WHERE id = ?`).run(cydId ?? null)
      await t.rejects(transferOwnership(db, actor, memberId, clock.now))
      t.match(await db.prepare(`SELECT id FROM members WHERE group_id = ? AND role = 'owner'`).all(group.groupId), [{ id: group.memberId }])
      await db.prepare(`UPDATE members SET role = 'member' WHERE id = ?`).run(cydId ?? null)
      await db.exec('DROP INDEX no_second_admin')
      t.strictSame(await rowsOf(db), before)
    })

    await t.test('T18: what is committed while a summary is read is not in it', async t => {
      const before = await getGroupSummary(db, actor, clock.now)
      const during = await db.tx(async () => {
        await db.prepare('SELECT version FROM groups WHERE id = ?').get(group.groupId)
        await db.outsideTx(async () => { await leaveGroup(db, { groupId: group.groupId, userId: bob.userId }, clock.now) })
        return await getGroupSummary(db, actor, clock.now)
      }, oneSnapshot)
      t.strictSame(during, before)
      t.match(await getGroupSummary(db, actor, clock.now), { group: { memberCount: 2, version: before.group.version + 1 }, totals: { totalQuantity: 14 } })
    })

    await t.test('what waits in the outbox of a group that is deleted is cancelled; what was delivered stays so', async t => {
      await db.prepare(`UPDATE outbox SET status = 'delivered' WHERE group_id = ?`).run(group.groupId)
      for (const userId of [eve.userId, bob.userId]) await joinGroupByCode(db, { code: group.joinCode, userId, displayName: 'x' }, clock.now)
      await db.prepare(`UPDATE outbox SET status = 'sending' WHERE id = (SELECT MAX(id) FROM outbox)`).run()
      await softDeleteGroup(db, actor, { confirm: 'Anns' }, clock.now)
      t.strictSame((await db.prepare('SELECT status FROM outbox WHERE group_id = ? ORDER BY id').all(group.groupId)).map(row => row.status), ['delivered', 'cancelled', 'cancelled'])
      t.strictSame(await db.prepare('SELECT id FROM webhooks').all(), [])
      t.strictSame(await db.prepare('SELECT id FROM members WHERE left_at IS NULL').all(), [])
    })
  })
}
