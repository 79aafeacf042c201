/** Which features a group has: what its plan includes, less or more what operators have switched. */
import type { Database } from '../../plugins/db/types.ts'
import { planIds, planOf, type PlanId } from '../billing/plans.ts'
import { toFlag, toText, toTextOrNull } from '../common/columns.ts'

type Db = Pick<Database, 'prepare'>

/** By name: `live`, `webhooks`, … */
export type Features = Readonly<Record<string, boolean>>

const flags = `
  SELECT feature_flags.key, feature_flags.enabled, feature_flags.min_plan, group_features.enabled AS own
  FROM feature_flags LEFT JOIN group_features ON group_features.key = feature_flags.key AND group_features.group_id = ?`

/** A flag of the group itself is stronger than that of all; a flag is stronger than the plan. */
export async function findFeatures (db: Db, { groupId, plan }: { groupId: string, plan: string }): Promise<Features> {
  const features: Record<string, boolean> = Object.fromEntries(planOf(plan).features.map(name => [name, true]))
  for (const row of await db.prepare(flags).all(groupId)) {
    const ofAll = toFlag(row.enabled) && isAtLeast(plan, toTextOrNull(row.min_plan))
    features[toText(row.key)] = row.own === null ? ofAll : toFlag(row.own)
  }
  return features
}

function isAtLeast (plan: string, minimum: string | null): boolean {
  return minimum === null || planIds.indexOf(plan as PlanId) >= planIds.indexOf(minimum as PlanId)
}
