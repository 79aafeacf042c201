/** A group's name, its settings, and the secret that all plugins of the other kind share (they know no persons). Store: no Fastify. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { appendActivity } from '../activity/append.ts'
import { toNumber, toText } from '../common/columns.ts'
import { withDetails } from '../common/errors.ts'
import { normalizeName } from '../common/names.ts'
import { newToken, sha256 } from '../common/secrets.ts'
import { audit } from '../ops/audit.ts'
import { VersionMismatch } from './errors.ts'
import { toSettings } from './find-groups.ts'
import { admins, lockGroupAs, type Actor } from './lock-as.ts'
import { bumpGroupVersion } from './lock.ts'
import type { GroupSettings } from './schema.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface GroupUpdate {
  readonly name?: string
  readonly settings?: Partial<GroupSettings>
  /** True makes a secret, and ends the one before; false ends it. */
  readonly compatToken?: boolean
  /** The change is refused if the group is at another one. */
  readonly ifVersion?: number
}

/** For an admin. `compatToken`: the new secret, this once. What is as it was makes no new version. Throws `VERSION_MISMATCH`. */
export async function updateGroup (db: Db, actor: Actor, { name, settings, compatToken, ifVersion }: GroupUpdate, now: number): Promise<{ compatToken?: string }> {
  return await db.tx(async () => {
    const { group } = await lockGroupAs(db, actor, admins, now)
    const version = toNumber(group.version)
    if (ifVersion !== undefined && ifVersion !== version) throw withDetails(new VersionMismatch(version), { version })
    const isRenamed = name !== undefined && await rename(db, group, name, now)
    const isSet = settings !== undefined && await set(db, group, settings)
    const secret = compatToken === true ? await makeSecret(db, actor, name ?? toText(group.name), now) : undefined
    const isEnded = compatToken === false && await endSecret(db, actor, now)
    if (isRenamed || isSet || secret !== undefined || isEnded) await bumpGroupVersion(db, actor.groupId, [{ kind: 'settings' }], now)
    return secret === undefined ? {} : { compatToken: secret }
  })
}

async function rename (db: Db, { id, name: before }: Row, name: string, now: number): Promise<boolean> {
  if (name === before) return false
  await db.prepare('UPDATE groups SET name = ?, name_norm = ? WHERE id = ?').run(name, normalizeName(name), toText(id))
  await appendActivity(db, { groupId: toText(id), type: 'group.renamed', data: { from: toText(before), to: name } }, now)
  return true
}

async function set (db: Db, { id, settings: before }: Row, settings: Partial<GroupSettings>): Promise<boolean> {
  const after = JSON.stringify({ ...toSettings(before), ...settings })
  if (after === JSON.stringify(toSettings(before))) return false
  await db.prepare('UPDATE groups SET settings = ? WHERE id = ?').run(after, toText(id))
  return true
}

/** The name by which plugins find the group is the one of now: if it followed a later renaming, they all would be locked out. */
async function makeSecret (db: Db, { groupId, userId }: Actor, name: string, now: number): Promise<string> {
  const secret = newToken('gvc')
  await db.prepare('UPDATE groups SET compat_name_norm = ?, compat_token_hash = ? WHERE id = ?').run(normalizeName(name), sha256(secret), groupId)
  await audit(db, { actorUserId: userId, groupId, action: 'compat-token.made' }, now)
  return secret
}

async function endSecret (db: Db, { groupId, userId }: Actor, now: number): Promise<boolean> {
  const { changes } = await db.prepare('UPDATE groups SET compat_name_norm = NULL, compat_token_hash = NULL WHERE id = ? AND compat_token_hash IS NOT NULL').run(groupId)
  if (changes > 0) await audit(db, { actorUserId: userId, groupId, action: 'compat-token.ended' }, now)
  return changes > 0
}
