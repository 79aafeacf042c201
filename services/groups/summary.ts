/** A group at a glance (T18). Store: no Fastify. What is kept true: one snapshot of the database, so that roster, totals and version belong together. */
import type { Database, TxOptions } from '../../plugins/db/types.ts'
import { toNumber } from '../common/columns.ts'
import { findFeatures } from '../ops/features.ts'
import { getGroup } from './find-groups.ts'
import type { Actor } from './lock-as.ts'
import { listMembers } from './roster.ts'
import type { Member, Summary } from './schema.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

/** Of the transaction; a route that asks for a summary has the same. */
export const oneSnapshot = { mode: 'read', isolation: 'repeatable read' } as const satisfies TxOptions

/** Throws `NOT_FOUND` for who is no member. */
export async function getGroupSummary (db: Db, actor: Actor, now: number): Promise<Summary> {
  return await db.tx(async () => {
    const group = await getGroup(db, actor)
    const staleAt = now - group.settings.staleAfterMinutes * 60_000
    const members = await listMembers(db, group.id, now)
    const roster = members.map(({ id, kind, displayName, role, color, online, lastSyncAt }) =>
      ({ id, kind, displayName, role, color, online, lastSyncAt, stale: lastSyncAt !== null && Date.parse(lastSyncAt) <= staleAt }))
    return {
      group,
      roster,
      totals: await findTotals(db, group.id),
      activeMembers: roster.filter(({ online }) => online).map(({ id }) => id),
      staleMembers: roster.filter(({ stale }) => stale).map(({ id }) => id),
      lastSyncAt: findLatest(members),
      plan: group.plan,
      features: await findFeatures(db, { groupId: group.id, plan: group.plan }),
      catalogVersion: await findCatalogVersion(db)
    }
  }, oneSnapshot)
}

/** ISO-8601 sorts as time does. */
function findLatest (members: readonly Member[]): string | null {
  return members.map(({ lastSyncAt }) => lastSyncAt).filter(time => time !== null).toSorted().at(-1) ?? null
}

const totals = `
  SELECT COUNT(DISTINCT CASE WHEN container = 'potion_storage' THEN -item_id ELSE item_id END) AS distinct_items,
    CAST(COALESCE(SUM(CASE WHEN container = 'potion_storage' THEN 0 ELSE quantity END), 0) AS BIGINT) AS total_quantity
  FROM container_items WHERE group_id = ?`

/** All that is there belongs to current members, since an end of a membership takes its holdings along. */
async function findTotals (db: Db, groupId: string): Promise<Summary['totals']> {
  const row = await db.prepare(totals).get(groupId)
  return { distinctItems: toNumber(row?.distinct_items), totalQuantity: toNumber(row?.total_quantity) }
}

/** Null: no catalog is installed yet. */
async function findCatalogVersion (db: Db): Promise<number | null> {
  const row = await db.prepare('SELECT version FROM catalog_active WHERE id = 1').get()
  return row === undefined ? null : toNumber(row.version)
}
