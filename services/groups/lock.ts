/**
 * The row of a group is its lock, on both engines: whoever changes anything of a group updates it first, then members, and behind these two what belongs to them: containers
 * and marks, then activity and outbox. Without one order a kick and a sync would wait for each other.
 *
 * What is kept true: the version of a group grows by exactly one for each committed change of holdings, roster or settings, and group_changes has the same numbers. Since it
 * grows under the lock, a reader who saw version n has missed nothing up to n. Listeners of the channel are told of it when the transaction is committed.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toNumber } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** Payload: a `GroupNews` as JSON. */
export const CHANNEL = 'vault_group'

/** What is told to those who watch a group; they ask for the rest. */
export interface GroupNews {
  readonly groupId: string
  readonly kind: 'vault' | 'roster' | 'presence' | 'activity' | 'billing' | 'settings' | 'removed' | 'deleted'
  readonly version?: number
  readonly memberId?: string
  readonly userId?: string
}

export interface Change {
  readonly kind: 'container' | 'roster' | 'settings'
  readonly memberId?: string
  readonly container?: string
}

/** So many versions of a group are kept in group_changes. */
export const KEPT_VERSIONS = 1000

const lock = 'UPDATE groups SET updated_at = ? WHERE id = ? AND deleted_at IS NULL RETURNING *'
/** Where a transaction runs is learned by its first statement: those that write hundreds of rows are not to be taken for the others. */
const lockForMany = `${lock} -- many rows`

/**
 * Takes the lock of a group until the transaction ends, and answers its row (all columns of `groups`). Inside a transaction only.
 * Throws `NOT_FOUND` for one that is not there or was deleted. `isLarge`: the transaction will write hundreds of rows. Default: false.
 */
export async function lockGroup (db: Db, groupId: string, now: number, { isLarge = false } = {}): Promise<Row> {
  const row = await db.tx(async () => await db.prepare(isLarge ? lockForMany : lock).get(now, groupId), { propagation: 'mandatory' })
  if (row === undefined) throw new NotFound('group')
  return row
}

/** The next version of a group that is locked, with what changed by it. Inside a transaction only. */
export async function bumpGroupVersion (db: Db, groupId: string, changes: readonly Change[], now: number): Promise<number> {
  const version = await raiseVersion(db, groupId, now)
  await recordChanges(db, { groupId, version, changes }, now)
  return version
}

/** The next version of a group that is locked; what changed by it is to be recorded. Inside a transaction only. */
export async function raiseVersion (db: Db, groupId: string, now: number): Promise<number> {
  const raise = db.prepare('UPDATE groups SET version = version + 1, updated_at = ? WHERE id = ? RETURNING version')
  const row = await db.tx(async () => await raise.get(now, groupId), { propagation: 'mandatory' })
  return toNumber(row?.version)
}

/** What changed by a version, for who asks later, and for those who watch the group. Inside a transaction only. */
export async function recordChanges (db: Db, { groupId, version, changes }: { groupId: string, version: number, changes: readonly Change[] }, now: number): Promise<void> {
  await Promise.all([
    ...changes.map(async change => { await appendGroupChange(db, groupId, version, change, now) }),
    db.prepare('DELETE FROM group_changes WHERE group_id = ? AND version <= ?').run(groupId, version - KEPT_VERSIONS),
    ...[...new Set(changes.map(newsOf))].map(async kind => { await tellGroup(db, { groupId, kind, version }) })
  ])
}

function newsOf ({ kind }: Change): GroupNews['kind'] {
  return kind === 'container' ? 'vault' : kind
}

async function appendGroupChange (db: Db, groupId: string, version: number, { kind, memberId = '', container = '' }: Change, now: number): Promise<void> {
  await db.prepare('INSERT INTO group_changes (group_id, version, kind, member_id, container, at) VALUES (?, ?, ?, ?, ?, ?)')
    .run(groupId, version, kind, memberId, container, now)
}

/** When the transaction is committed; at once outside of one. */
export async function tellGroup (db: Pick<Database, 'notify'>, news: GroupNews): Promise<void> {
  await db.notify(CHANNEL, JSON.stringify(news))
}
