/** Who changes a group at the same time: over a second application on the same database on PostgreSQL, over the one writer on SQLite. */
import t from 'tap'
import { endMembership } from '../../../services/groups/end-membership.ts'
import { setJoinCode } from '../../../services/groups/join-code.ts'
import { joinGroupByCode } from '../../../services/groups/join-group.ts'
import { bumpGroupVersion, lockGroup } from '../../../services/groups/lock.ts'
import { removeMember } from '../../../services/groups/remove-member.ts'
import { transferOwnership } from '../../../services/groups/transfer-ownership.ts'
import { createGroup, MOST_OWNED } from '../../../services/groups/create-group.ts'
import { deferred, engines } from '../../helper/db.ts'
import { fill } from './groups-helper.ts'
import { startWorld } from './world.ts'

const codeOf = (one: PromiseSettledResult<unknown>): string => one.status === 'fulfilled' ? 'ok' : String((one.reason as { code?: string }).code).replace('TDM_ERR_VAULT_', '')

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock: { now } } = world
    // as many processes have it
    const other = engine === 'postgres' ? (await startWorld(t, engine, { url: world.url })).db : db

    await t.test('ten people join a group with two places left: two are in it', async t => {
      const { group } = await fill(world)
      await world.join(await world.person('Cyd'), group)
      const people = await Promise.all(Array.from({ length: 10 }, async (_, i) => await world.person(`P${i}`)))
      const answers = (await Promise.allSettled(people.map(async ({ userId, name }, i) => await joinGroupByCode(i % 2 === 0 ? db : other, { code: group.joinCode, userId, displayName: name }, now)))).map(codeOf)
      t.strictSame(answers.sort(), [...Array.from({ length: 8 }, () => 'GROUP_FULL'), 'ok', 'ok'])
      t.match(await db.prepare(`SELECT member_count, version, (SELECT COUNT(*) FROM members WHERE group_id = groups.id AND kind = 'player' AND left_at IS NULL) AS players FROM groups WHERE id = ?`).get(group.groupId),
        { member_count: 5, players: 5, version: 3 })
    })

    await t.test('one person joins five times at once: they are in it once', async t => {
      const { group } = await fill(world)
      const { userId } = await world.person('Eve')
      const answers = await Promise.all(Array.from({ length: 5 }, async (_, i) => await joinGroupByCode(i % 2 === 0 ? db : other, { code: group.joinCode, userId, displayName: 'Eve' }, now)))
      t.equal(answers.filter(({ joined }) => joined).length, 1)
      t.equal(new Set(answers.map(({ memberId }) => memberId)).size, 1)
    })

    await t.test('of two transfers at once one is done, and there is one owner', async t => {
      const { ann, group, memberId } = await fill(world)
      const cydId = await world.join(await world.person('Cyd'), group)
      const actor = { groupId: group.groupId, userId: ann.userId }
      const answers = (await Promise.allSettled([transferOwnership(db, actor, memberId, now), transferOwnership(other, actor, cydId, now)])).map(codeOf)
      t.strictSame(answers.sort(), ['FORBIDDEN', 'ok'])
      const owners = await db.prepare(`SELECT members.user_id, groups.owner_user_id FROM members JOIN groups ON groups.id = members.group_id WHERE members.group_id = ? AND members.role = 'owner'`).all(group.groupId)
      t.equal(owners.length, 1)
      t.equal(owners[0]?.user_id, owners[0]?.owner_user_id)
    })

    await t.test('a transfer to somebody who is removed just then: the owner is a member', async t => {
      const { ann, group, memberId } = await fill(world)
      const actor = { groupId: group.groupId, userId: ann.userId }
      const answers = (await Promise.allSettled([transferOwnership(db, actor, memberId, now), removeMember(other, actor, memberId, now)])).map(codeOf)
      t.ok(['ok,OWNER_CANNOT_BE_REMOVED', 'NOT_A_MEMBER,ok'].includes(answers.join(',')), answers.join(','))
      t.match(await db.prepare(`SELECT left_at FROM members WHERE group_id = ? AND role = 'owner'`).all(group.groupId), [{ left_at: null }])
    })

    // as a sync writes: the group, then the rows of the member
    const sync = async ({ groupId, memberId, hold, entered }: { groupId: string, memberId: string, hold?: Promise<unknown>, entered?: () => void }): Promise<unknown> => await other.tx(async () => {
      await lockGroup(other, groupId, now)
      entered?.()
      await hold
      const member = await other.prepare('SELECT id FROM members WHERE id = ? AND left_at IS NULL').get(memberId)
      if (member === undefined) return 'gone'
      await other.prepare('UPDATE containers SET captured_at = ? WHERE member_id = ?').run(now, memberId)
      await other.prepare('UPDATE container_items SET quantity = quantity + 1 WHERE member_id = ?').run(memberId)
      await other.prepare('UPDATE members SET last_sync_at = ? WHERE id = ?').run(now, memberId)
      return await bumpGroupVersion(other, groupId, [{ kind: 'container', memberId, container: 'bank' }], now)
    })

    await t.test('a member is removed while their plugin syncs: one waits for the other, in either order', async t => {
      const first = await fill(world)
      const [entered, go] = [deferred<unknown>(), deferred<unknown>()]
      const syncing = sync({ groupId: first.group.groupId, memberId: first.memberId, hold: go.promise, entered: () => { entered.resolve(undefined) } })
      await entered.promise
      const removing = endMembership(db, { groupId: first.group.groupId, memberId: first.memberId, reason: 'kicked' }, now)
      go.resolve(undefined)
      t.equal(await syncing, 2)
      await removing
      t.strictSame(await db.prepare('SELECT item_id FROM container_items WHERE member_id = ?').all(first.memberId), [])

      const second = await fill(world)
      const { groupId } = second.group
      const [removed, done] = [deferred<unknown>(), deferred<unknown>()]
      const slowly = db.tx(async () => {
        await endMembership(db, { groupId, memberId: second.memberId, reason: 'kicked' }, now)
        removed.resolve(undefined)
        await done.promise
      })
      await removed.promise
      const late = sync({ groupId, memberId: second.memberId })
      done.resolve(undefined)
      await slowly
      t.equal(await late, 'gone')
      t.match(await db.prepare('SELECT version FROM groups WHERE id = ?').get(groupId), { version: 2 })
    })

    await t.test('many syncs, removals and joins of one group at once: nobody waits for ever, and the numbers are right', async t => {
      const { ann, group, memberId } = await fill(world)
      const { groupId } = group
      const cyds = await Promise.all(Array.from({ length: 3 }, async (_, i) => await world.person(`Cyd ${i}`)))
      const work = [
        ...Array.from({ length: 8 }, async () => await sync({ groupId, memberId })),
        removeMember(db, { groupId, userId: ann.userId }, memberId, now),
        ...cyds.map(async ({ userId, name }) => await joinGroupByCode(db, { code: group.joinCode, userId, displayName: name }, now)),
        ...Array.from({ length: 8 }, async () => await sync({ groupId, memberId: group.memberId }))
      ]
      t.strictSame(new Set((await Promise.allSettled(work)).map(codeOf)), new Set(['ok']))
      const changes = await db.prepare('SELECT DISTINCT version FROM group_changes WHERE group_id = ? ORDER BY version').all(groupId)
      t.match(await db.prepare('SELECT member_count, version FROM groups WHERE id = ?').get(groupId), { member_count: 4, version: changes.length })
      t.strictSame(changes.map(row => row.version), changes.map((_, i) => i + 1), 'without a gap')
    })

    await t.test('a code that is replaced while somebody joins by it: in before, or not at all', async t => {
      const { ann, group } = await fill(world)
      const { userId } = await world.person('Cyd')
      const [joined, rotated] = await Promise.allSettled([joinGroupByCode(other, { code: group.joinCode, userId, displayName: 'Cyd' }, now), setJoinCode(db, { groupId: group.groupId, userId: ann.userId }, 'rotate', now)])
      t.equal(codeOf(rotated), 'ok')
      t.ok(['ok', 'JOIN_CODE_INVALID'].includes(codeOf(joined)))
      await t.rejects(joinGroupByCode(db, { code: group.joinCode, userId, displayName: 'Cyd' }, now), { code: 'TDM_ERR_VAULT_JOIN_CODE_INVALID' })
    })

    await t.test('twelve groups at once by one person: ten are made', async t => {
      const { userId } = await world.person('Ann')
      const answers = (await Promise.allSettled(Array.from({ length: MOST_OWNED + 2 }, async (_, i) => await createGroup(i % 2 === 0 ? db : other, { name: `g${i}`, ownerUserId: userId, ownerName: 'Ann' }, now)))).map(codeOf)
      t.equal(answers.filter(answer => answer === 'GROUP_LIMIT').length, 2)
      t.equal(new Set((await db.prepare('SELECT join_code FROM groups WHERE owner_user_id = ?').all(userId)).map(row => row.join_code)).size, MOST_OWNED)
    })
  })
}
