/**
 * All that people and plugins have put into the database, gone in one commit (T17).
 *
 * What is kept true: the names of items and the note of what the database is for stay. Each group is locked first, so whoever is at work in one is waited for; those who watch one
 * are told that it is gone.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { toNumber, toText } from '../../common/columns.ts'
import { tellGroup } from '../../groups/lock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** Whoever points at another table comes before it. */
export const wipedTables = [
  'outbox_attempts', 'outbox', 'webhooks', 'activity_events', 'container_items', 'containers', 'sync_marks', 'pairings', 'idempotency_keys', 'plugin_tokens', 'group_changes', 'group_features',
  'subscriptions', 'billing_events', 'members', 'groups', 'sessions', 'identities', 'users', 'audit_log', 'feature_flags'
] as const
export const keptTables = ['app_meta', 'catalog_active', 'catalog_items', 'catalog_prices', 'catalog_snapshots'] as const

export type Counts = Readonly<Record<string, number>>

/** Answers how many rows of each table are gone. */
export async function wipeRuntimeData (db: Db): Promise<Counts> {
  return await db.tx(async () => {
    const groups = await db.prepare('UPDATE groups SET updated_at = updated_at RETURNING id, deleted_at').all()
    const counts: Record<string, number> = {}
    for (const table of wipedTables) counts[table] = (await db.prepare(`DELETE FROM ${table}`).run()).changes
    for (const { id, deleted_at: deletedAt } of groups) {
      if (deletedAt === null) await tellGroup(db, { groupId: toText(id), kind: 'deleted' })
    }
    return counts
  }, { retry: 3 })
}

/** How many rows of each of these tables there are. */
export async function countRows (db: Db): Promise<Counts> {
  const counts: Record<string, number> = {}
  for (const table of wipedTables) counts[table] = toNumber((await db.prepare(`SELECT COUNT(*) AS count FROM ${table}`).get())?.count)
  return counts
}
