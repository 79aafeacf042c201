/**
 * The end of a group (T16), all of it or nothing: its members, their holdings, tokens and pairings, its code and secrets, its webhooks and what they were to deliver.
 *
 * What is kept true: nothing acts for a group that is gone, and nothing is delivered of it any more; what is on its way just now may still arrive. Its row stays, and its
 * activity and its bill with it.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toText } from '../common/columns.ts'
import { Validation, withDetails } from '../common/errors.ts'
import { audit } from '../ops/audit.ts'
import { removeHoldingsOfGroup } from '../sync/remove-holdings.ts'
import { ActiveSubscription } from './errors.ts'
import { lockGroupAs, ownerOnly, type Actor } from './lock-as.ts'
import { tellGroup } from './lock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** For the owner. `confirm` has to be the name of the group. Throws `ACTIVE_SUBSCRIPTION`, `VALIDATION`. */
export async function softDeleteGroup (db: Db, actor: Actor, { confirm }: { confirm: string }, now: number): Promise<void> {
  await db.tx(async () => {
    const { group } = await lockGroupAs(db, actor, ownerOnly, now)
    const pointer = '/body/confirm'
    if (confirm !== group.name) throw withDetails(new Validation(pointer, 'has to be the name of the group'), { pointer })
    await endGroup(db, group, actor, now)
  })
}

/** Inside a transaction that has the lock of the group, whose row is given. Throws `ACTIVE_SUBSCRIPTION`. */
export async function endGroup (db: Db, group: Row, { userId }: Pick<Actor, 'userId'>, now: number): Promise<void> {
  await db.tx(async () => {
    const groupId = toText(group.id)
    if (await isPaidFor(db, groupId)) throw new ActiveSubscription()
    await db.prepare('UPDATE groups SET deleted_at = ?, member_count = 0, join_code = NULL, compat_name_norm = NULL, compat_token_hash = NULL WHERE id = ?').run(now, groupId)
    await db.prepare('UPDATE members SET left_at = ? WHERE group_id = ? AND left_at IS NULL').run(now, groupId)
    await db.prepare('UPDATE plugin_tokens SET revoked_at = ? WHERE group_id = ? AND revoked_at IS NULL').run(now, groupId)
    await removeHoldingsOfGroup(db, groupId)
    await db.prepare('DELETE FROM webhooks WHERE group_id = ?').run(groupId)
    await db.prepare(`UPDATE outbox SET status = 'cancelled', lease_owner = NULL, lease_until = NULL WHERE group_id = ? AND status IN ('pending', 'sending')`).run(groupId)
    await audit(db, { actorUserId: userId, groupId, action: 'group.deleted', detail: { name: toText(group.name) } }, now)
    await tellGroup(db, { groupId, kind: 'deleted' })
  }, { propagation: 'mandatory' })
}

async function isPaidFor (db: Db, groupId: string): Promise<boolean> {
  return await db.prepare(`SELECT id FROM subscriptions WHERE group_id = ? AND status IN ('active', 'trialing', 'past_due')`).get(groupId) !== undefined
}
