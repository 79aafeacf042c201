/**
 * Features that operators switch: for all, from a plan on, or for single groups. Stores: no Fastify.
 *
 * What is kept true: who switched what is in the audit log, in the same commit. The row of a flag is the lock of its switches in groups.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import type { PlanId } from '../billing/plans.ts'
import { toFlag, toText, toTextOrNull, toTime } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { audit } from './audit.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

export interface FeatureFlag {
  readonly key: string
  readonly enabled: boolean
  /** Null: all plans. */
  readonly minPlan: PlanId | null
  readonly description: string
  readonly updatedAt: string
}

export interface GroupSwitch {
  readonly groupId: string
  /** Null: as for all. */
  readonly enabled: boolean | null
}

export interface FlagChange {
  readonly key: string
  readonly enabled: boolean
  readonly minPlan: PlanId | null
  readonly description?: string
  readonly groups: readonly GroupSwitch[]
  readonly actorUserId: string
}

export async function getFeatureFlags (db: Pick<Database, 'prepare'>): Promise<FeatureFlag[]> {
  return (await db.prepare('SELECT * FROM feature_flags ORDER BY key').all()).map(toFeatureFlag)
}

const upsert = `
  INSERT INTO feature_flags (key, enabled, min_plan, description, updated_at, updated_by) VALUES (:key, :enabled, :minPlan, :description, :now, :actor)
  ON CONFLICT (key) DO UPDATE SET enabled = excluded.enabled, min_plan = excluded.min_plan, updated_at = excluded.updated_at, updated_by = excluded.updated_by,
    description = CASE WHEN excluded.description = '' THEN feature_flags.description ELSE excluded.description END
  RETURNING *`

/** Groups that are not named stay as they are. Throws `NOT_FOUND` for a group that is not there. */
export async function setFeatureFlag (db: Db, { key, enabled, minPlan, description = '', groups, actorUserId }: FlagChange, now: number): Promise<FeatureFlag> {
  return await db.tx(async () => {
    const row = await db.prepare(upsert).get({ key, enabled, minPlan, description, now, actor: actorUserId })
    for (const { groupId, enabled } of groups) await setGroupFeature(db, { groupId, key, enabled })
    await audit(db, { actorUserId, action: 'flag.set', detail: { key, enabled, minPlan, groups } }, now)
    return toFeatureFlag(row ?? {})
  })
}

/** Throws `NOT_FOUND`. */
export async function setGroupFeature (db: Pick<Database, 'prepare'>, { groupId, key, enabled }: { groupId: string, key: string, enabled: boolean | null }): Promise<void> {
  if (await db.prepare('SELECT id FROM groups WHERE id = ? AND deleted_at IS NULL').get(groupId) === undefined) throw new NotFound('group')
  if (enabled === null) await db.prepare('DELETE FROM group_features WHERE group_id = ? AND key = ?').run(groupId, key)
  else await db.prepare('INSERT INTO group_features (group_id, key, enabled) VALUES (?, ?, ?) ON CONFLICT (group_id, key) DO UPDATE SET enabled = excluded.enabled').run(groupId, key, enabled)
}

/** What is switched for groups of their own. */
export async function listGroupSwitches (db: Pick<Database, 'prepare'>, key: string): Promise<GroupSwitch[]> {
  const rows = await db.prepare('SELECT group_id, enabled FROM group_features WHERE key = ? ORDER BY group_id').all(key)
  return rows.map(row => ({ groupId: toText(row.group_id), enabled: toFlag(row.enabled) }))
}

function toFeatureFlag (row: Row): FeatureFlag {
  return { key: toText(row.key), enabled: toFlag(row.enabled), minPlan: toTextOrNull(row.min_plan) as PlanId | null, description: toText(row.description), updatedAt: toTime(row.updated_at) }
}
