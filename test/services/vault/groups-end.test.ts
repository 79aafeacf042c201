/** The end of a membership (T4): holdings, tokens, marks and pairings end with it, in one commit. */
import t from 'tap'
import { endMembership } from '../../../services/groups/end-membership.ts'
import { engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { fill, hear, rowsOf } from './groups-helper.ts'
import { startWorld } from './world.ts'

/** Everything that it writes. */
const writes = [
  ['UPDATE', 'groups'], ['UPDATE', 'members'], ['UPDATE', 'plugin_tokens'], ['DELETE', 'container_items'], ['DELETE', 'containers'], ['DELETE', 'sync_marks'], ['UPDATE', 'pairings'],
  ['INSERT', 'group_changes'], ['INSERT', 'activity_events']
] as const

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db } = world
    const filled = await fill(world)
    const { memberId, plugin, group: { groupId, memberId: ownerId } } = filled
    const end = async (member: string, reason: 'left' | 'kicked' | 'deleted' = 'kicked'): Promise<void> => { await endMembership(db, { groupId, memberId: member, reason }, world.clock.now) }

    await t.test('an end that fails in the middle leaves everything as it was, wherever it fails', async t => {
      const before = await rowsOf(db)
      for (const [write, table] of writes) await whileRefused(db, write, table, async () => { await t.rejects(end(memberId), `${write} ${table}`) })
      t.strictSame(await rowsOf(db), before)
    })

    await t.test('neither the owner nor the shared storage can be removed', async t => {
      await t.rejects(end(ownerId), { code: 'TDM_ERR_VAULT_OWNER_CANNOT_BE_REMOVED' })
      await t.rejects(end(ownerId, 'left'), { code: 'TDM_ERR_VAULT_OWNER_MUST_TRANSFER' })
      await t.rejects(end(await world.sharedMember(filled.group)), { code: 'TDM_ERR_VAULT_NOT_FOUND' })
    })

    await t.test('what a member had ends with the membership, and nothing else', async t => {
      const news = await hear(t, world)
      await end(memberId)
      const rows = await rowsOf(db)
      t.match(rows.groups, [{ member_count: 1, version: 2 }])
      t.match(rows.members?.filter(row => row.left_at !== null), [{ id: memberId, left_at: world.clock.now }])
      t.match(rows.plugin_tokens, [{ id: plugin.tokenId, revoked_at: world.clock.now }])
      t.strictSame(new Set(rows.containers?.map(row => row.member_id)), new Set([ownerId, await world.sharedMember(filled.group)]), 'what is in the shared storage is the group\'s')
      t.strictSame(rows.container_items?.map(row => row.container).sort(), ['bank', 'shared'])
      t.match(rows.sync_marks, [{ owner_member_id: ownerId }], 'also the marks of the shared storage')
      t.match(rows.pairings, [{ status: 'denied' }])
      t.match(rows.group_changes?.find(row => row.version === 2), { kind: 'roster', member_id: memberId })
      t.match(rows.activity_events?.find(row => row.type === 'member.left'), { member_id: memberId, data: JSON.stringify({ name: 'Bob', reason: 'kicked' }) })
      const told = await news()
      t.strictSame(told.map(({ kind }) => kind).sort(), ['activity', 'removed', 'roster'])
      t.match(told.find(({ kind }) => kind === 'removed'), { groupId, memberId, userId: filled.bob.userId })
      await t.rejects(end(memberId), { code: 'TDM_ERR_VAULT_NOT_FOUND' }, 'it ends once')
    })
  })
}
