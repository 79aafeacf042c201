/** The lock of a group, for somebody who has a role in it: looked at under the lock, since they may have lost it while they waited. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { Forbidden, NotFound } from '../common/errors.ts'
import { lockGroup } from './lock.ts'
import { findMembership, type Membership, type Role } from './lookups.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export const anyone: readonly Role[] = ['owner', 'admin', 'member']
export const admins: readonly Role[] = ['owner', 'admin']
export const ownerOnly: readonly Role[] = ['owner']

/** Who does something in which group. */
export interface Actor { readonly groupId: string, readonly userId: string }

/** Inside a transaction only. Throws `NOT_FOUND` for who is no member, `FORBIDDEN` for one with another role. */
export async function lockGroupAs (db: Db, { groupId, userId }: Actor, roles: readonly Role[], now: number): Promise<{ group: Row, membership: Membership }> {
  const group = await lockGroup(db, groupId, now)
  const membership = await findMembership(db, groupId, userId)
  if (membership === undefined) throw new NotFound('group')
  if (!roles.includes(membership.role)) throw new Forbidden(`the role ${roles.join(' or ')} in this group`)
  return { group, membership }
}
