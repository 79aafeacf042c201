/** Groups with members and paired plugins, put into a fresh database before the app starts. */
import type { Database } from '../../plugins/db/types.ts'
import { newId } from '../../services/common/ids.ts'
import { createGroup } from '../../services/groups/create-group.ts'
import { createPluginToken } from '../../services/groups/create-token.ts'
import { Ledger } from './ledger.ts'

export interface SimulatedGroup {
  readonly groupId: string
  readonly sharedMemberId: string
  readonly ledger: Ledger
  readonly members: readonly SimulatedMember[]
}

export interface SimulatedMember { readonly memberId: string, readonly token: string, readonly name: string }

const insertUser = 'INSERT INTO users (id, display_name, theme, is_operator, created_at) VALUES (?, ?, ?, 0, ?)'
const insertMember = `
  INSERT INTO members (id, group_id, user_id, kind, role, display_name, color, sync_epoch, joined_at) VALUES (?, ?, ?, 'player', 'member', ?, ?, 0, ?)`

export async function makeGroup (db: Database, number: number, members: number, now: number): Promise<SimulatedGroup> {
  return await db.tx(async () => {
    const people = Array.from({ length: members }, (_, i) => ({ userId: newId('user'), name: `p${number} ${i}` }))
    for (const { userId, name } of people) await db.prepare(insertUser).run(userId, name, 'system', now)
    const [owner = { userId: '', name: '' }, ...others] = people
    const { groupId, memberId } = await createGroup(db, { name: `Group ${number}`, ownerUserId: owner.userId, ownerName: owner.name }, now)
    const memberIds = [memberId]
    for (const [i, { userId, name }] of others.entries()) {
      const id = newId('member')
      await db.prepare(insertMember).run(id, groupId, userId, name, (i + 1) % 5, now)
      memberIds.push(id)
    }
    await db.prepare('UPDATE groups SET member_count = ?, max_members = ? WHERE id = ?').run(members, Math.max(5, members), groupId)
    const made: SimulatedMember[] = []
    for (const [i, id] of memberIds.entries()) {
      const { userId = '', name = '' } = people[i] ?? {}
      const { token } = await createPluginToken(db, { userId, groupId, memberId: id, label: 'simulated', pluginVersion: '1.0.0' }, now)
      made.push({ memberId: id, token, name })
    }
    const shared = await db.prepare(`SELECT id FROM members WHERE group_id = ? AND kind = 'shared'`).get(groupId)
    return { groupId, sharedMemberId: String(shared?.id), ledger: new Ledger(), members: made }
  })
}
