/** What a page has to know to begin with: who looks at it, which groups there are for them, and what these can do. Stores: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { findPointer } from '../catalog/load.ts'
import { toFlag, toNumber, toText, toTextOrNull } from '../common/columns.ts'
import { Unauthenticated } from '../common/errors.ts'
import { findFeatures } from '../ops/features.ts'
import type { Bootstrap } from './schema.ts'

type Db = Pick<Database, 'prepare'>

const own = `
  SELECT groups.id, groups.name, groups.version, groups.plan, groups.is_demo, members.id AS member_id, members.role
  FROM members JOIN groups ON groups.id = members.group_id
  WHERE members.user_id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL
  ORDER BY members.joined_at, members.id`

const demo = `
  SELECT id, name, version, plan, is_demo, NULL AS member_id, NULL AS role
  FROM groups WHERE is_demo = 1 AND deleted_at IS NULL ORDER BY created_at, id LIMIT 1`

/** Null: nobody is signed in, and is shown the demo group. Throws `UNAUTHENTICATED` if there is none. */
export async function getBootstrap (db: Db, user: { userId: string, displayName: string, isOperator: boolean, csrfToken: string } | null, now: number): Promise<Bootstrap> {
  const rows = user === null ? await db.prepare(demo).all() : await db.prepare(own).all(user.userId)
  if (user === null && rows.length === 0) throw new Unauthenticated()
  const groups: Bootstrap['groups'] = []
  for (const row of rows) groups.push(await toGroup(db, row))
  return {
    user: user && { id: user.userId, displayName: user.displayName, isOperator: user.isOperator },
    groups,
    flags: await findFlags(db),
    catalogVersion: (await findPointer(db)).version,
    csrfToken: user?.csrfToken ?? null,
    serverTime: new Date(now).toISOString()
  }
}

async function toGroup (db: Db, row: Row): Promise<Bootstrap['groups'][number]> {
  const [groupId, plan] = [toText(row.id), toText(row.plan)]
  return {
    groupId,
    name: toText(row.name),
    version: toNumber(row.version),
    plan,
    isDemo: toFlag(row.is_demo),
    memberId: toTextOrNull(row.member_id ?? null),
    role: toTextOrNull(row.role ?? null) as Bootstrap['groups'][number]['role'],
    features: await findFeatures(db, { groupId, plan })
  }
}

/** As they are for all, whatever a group has of its own. */
async function findFlags (db: Db): Promise<Record<string, boolean>> {
  const rows = await db.prepare('SELECT key, enabled FROM feature_flags ORDER BY key').all()
  return Object.fromEntries(rows.map(row => [toText(row.key), toFlag(row.enabled)]))
}
