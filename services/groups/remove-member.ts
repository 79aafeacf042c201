/** Members who leave, or are removed by an admin (T4). Stores: no Fastify. */
import type { Database } from '../../plugins/db/types.ts'
import { toNumber } from '../common/columns.ts'
import { endGroup } from './delete-group.ts'
import { endMembership } from './end-membership.ts'
import { SharedMember } from './errors.ts'
import { admins, anyone, lockGroupAs, type Actor } from './lock-as.ts'
import { getMember } from './roster.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** By an admin. Throws `NOT_FOUND`, `OWNER_CANNOT_BE_REMOVED`, `SHARED_MEMBER`. */
export async function removeMember (db: Db, actor: Actor, memberId: string, now: number): Promise<void> {
  await db.tx(async () => {
    await lockGroupAs(db, actor, admins, now)
    const { kind } = await getMember(db, { groupId: actor.groupId, memberId }, now)
    if (kind === 'shared') throw new SharedMember()
    await endMembership(db, { groupId: actor.groupId, memberId, reason: 'kicked' }, now)
  })
}

/** The last member takes the group along. Throws `OWNER_MUST_TRANSFER`, `ACTIVE_SUBSCRIPTION`. */
export async function leaveGroup (db: Db, actor: Actor, now: number): Promise<void> {
  await db.tx(async () => {
    const { group, membership: { memberId } } = await lockGroupAs(db, actor, anyone, now)
    if (toNumber(group.member_count) === 1) await endGroup(db, group, actor, now)
    else await endMembership(db, { groupId: actor.groupId, memberId, reason: 'left' }, now)
  })
}
