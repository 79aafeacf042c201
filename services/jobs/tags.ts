/**
 * Tags, and which jobs have them. Part of the store.
 *
 * What is kept true: who reads and who changes a tag is up to its scope. Read: global by all, admin by admin and support, private by the user whose name it is. Changed: global by admin,
 * support and api alone, admin by admin and api alone, private by its user. A tag is known by type and name; the scope is not part of that.
 */
import { visibleTo } from './access.ts'
import { JobsForbiddenScope, JobsNotFound, JobsTagExists, JobsTagNotFound, JobsUnauthenticated } from './errors.ts'
import { isNonEmpty, list, sql, where, type Fragment } from './fragment.ts'
import { selecting } from './find.ts'
import { checkSchema } from './input.ts'
import { findRows, type JobsDatabase, type WritableJobs } from './query.ts'
import { toNumber, toText } from './rows.ts'
import { TagName, type JobTagsInput, type Tag, type TagCounts, type TagsInput, type User } from './schema.ts'

/** The tags of a job that the user may see; without `id` all of them. Whether the user may see the job is not asked here. */
export async function getTags (db: JobsDatabase, { user, id }: { user: User | null, id?: number }): Promise<Tag[]> {
  const joined = id === undefined ? sql`` : sql` JOIN jobtag ON jobtag.tag_id = tag.id AND jobtag.job_id = ${id}`
  const rows = await findRows(db, sql`SELECT ${tagFields} FROM tag${joined} WHERE ${isReadable(user)} ORDER BY tag.id`)
  return rows.map(row => ({ id: toNumber(row.id), type: toText(row.type), name: toText(row.name), scope: toText(row.scope) }))
}

/**
 * The tags that the user may see, and how many jobs have each: of all jobs for admin and support, of what a manager sees, of the user's own for anybody else. There a tag without such
 * jobs has no count.
 */
export async function countTags (db: JobsDatabase, { user }: { user: User | null }): Promise<TagCounts> {
  const tags = await getTags(db, { user })
  const owned = ownedBy(user)
  const counted = owned === undefined ? sql`LEFT JOIN jobtag ON jobtag.tag_id = tag.id` : sql`JOIN jobtag ON jobtag.tag_id = tag.id JOIN job ON job.id = jobtag.job_id`
  const conditions = where([isReadable(user), ...(owned ?? [])])
  const rows = await findRows(db, sql`SELECT ${tagFields}, COUNT(jobtag.job_id) AS jobs FROM tag ${counted}${conditions} GROUP BY tag.id, tag.tag_type, tag.tag_name, tag.tag_scope ORDER BY tag.id`)
  return { tags, counts: Object.fromEntries(rows.map(row => [`${toText(row.type)}${toText(row.name)}${toNumber(row.id)}`, toNumber(row.jobs)])) }
}

/**
 * Gives a job tags, which are made if they are not there, and answers with all of its tags that the user may see.
 * Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see, `TDM_ERR_JOBS_FORBIDDEN_SCOPE`, `TDM_ERR_JOBS_TAG_EXISTS` if the tag has another scope.
 */
export async function addTags (db: WritableJobs, { user, id, tags }: JobTagsInput): Promise<Tag[]> {
  const changed = changeable(user, tags)
  return await db.tx(async () => {
    await checkVisible(db, user, id)
    for (const tag of changed) {
      await db.prepare('INSERT INTO tag (tag_type, tag_name, tag_scope) VALUES (?, ?, ?) ON CONFLICT (tag_type, tag_name) DO NOTHING').run(tag.type, tag.name, tag.scope)
      const found = await findTag(db, tag)
      if (found === undefined || found.scope !== tag.scope) throw new JobsTagExists(titleOf(tag))
      await db.prepare('INSERT INTO jobtag (job_id, tag_id) VALUES (?, ?) ON CONFLICT (job_id, tag_id) DO NOTHING').run(id, found.id)
    }
    return await getTags(db, { user, id })
  })
}

/**
 * Takes tags from a job, and answers with those that are left. The tags themselves stay. Throws `TDM_ERR_JOBS_NOT_FOUND`, `TDM_ERR_JOBS_TAG_NOT_FOUND`, `TDM_ERR_JOBS_FORBIDDEN_SCOPE`.
 */
export async function removeTags (db: WritableJobs, { user, id, tags }: JobTagsInput): Promise<Tag[]> {
  const changed = changeable(user, tags)
  return await db.tx(async () => {
    await checkVisible(db, user, id)
    for (const tag of changed) {
      await db.prepare('DELETE FROM jobtag WHERE job_id = ? AND tag_id = ?').run(id, await getTagId(db, tag))
    }
    return await getTags(db, { user, id })
  })
}

/** Removes tags from all jobs, and the tags themselves; how many there were. Throws `TDM_ERR_JOBS_TAG_NOT_FOUND`, `TDM_ERR_JOBS_FORBIDDEN_SCOPE`. */
export async function removeTag (db: WritableJobs, { user, tags }: TagsInput): Promise<number> {
  const changed = changeable(user, tags)
  return await db.tx(async () => {
    for (const tag of changed) await db.prepare('DELETE FROM tag WHERE id = ?').run(await getTagId(db, tag)) // jobtag follows, by its foreign key
    return changed.length
  })
}

const tagFields = sql`tag.id AS id, tag.tag_type AS type, tag.tag_name AS name, tag.tag_scope AS scope`

// --- who may -------------------------------------------------------------------------------------------------------------------

/** A user who is called admin is not one by that. */
export function isReadable (user: User | null): Fragment {
  if (user === null) throw new JobsUnauthenticated()
  const { username, roles } = user
  const ofAdmins = isAdmin(user) || roles.includes('support') ? ['admin'] : []
  const own = username === 'admin' ? [] : [username]
  return sql`tag.tag_scope IN ${list(['global', ...ofAdmins, ...own])}`
}

/** Undefined: all jobs. */
function ownedBy (user: User | null): Fragment[] | undefined {
  if (user === null) throw new JobsUnauthenticated()
  if (isAdmin(user) || user.roles.includes('support')) return undefined
  const own = sql`job.hpc_user = ${user.username}`
  const { projects = [] } = user
  if (!user.roles.includes('manager') || !isNonEmpty(projects)) return [own]
  return [sql`(job.project IN ${list(projects)} OR ${own})`]
}

type ScopedTag = Required<TagName>

/** The tags with their scopes, each of which the user may change. */
function changeable (user: User | null, tags: readonly TagName[]): ScopedTag[] {
  if (user === null) throw new JobsUnauthenticated()
  return tags.map((tag, i) => {
    checkSchema(`tags/${i}`, TagName, tag)
    const scope = tag.scope === undefined || tag.scope === '' ? 'global' : tag.scope
    if (!mayChange(user, scope)) throw new JobsForbiddenScope(scope.slice(0, 40))
    return { type: tag.type, name: tag.name, scope }
  })
}

function mayChange (user: User, scope: string): boolean {
  const isTool = user.roles.join() === 'api'
  if (scope === 'admin') return isAdmin(user) || isTool
  if (scope === 'global') return isAdmin(user) || isTool || user.roles.includes('support')
  return scope === user.username
}

function isAdmin ({ roles }: User): boolean {
  return roles.includes('admin')
}

async function checkVisible (db: JobsDatabase, user: User | null, id: number): Promise<void> {
  const [row] = await findRows(db, sql`SELECT job.id FROM job${where([...visibleTo(user), ...selecting({ id })])}`)
  if (row === undefined) throw new JobsNotFound(`id ${id}`)
}

// --- by name -------------------------------------------------------------------------------------------------------------------

async function findTag (db: JobsDatabase, { type, name }: ScopedTag): Promise<{ id: number, scope: string } | undefined> {
  const [row] = await findRows(db, sql`SELECT tag.id AS id, tag.tag_scope AS scope FROM tag WHERE tag.tag_type = ${type} AND tag.tag_name = ${name}`)
  return row === undefined ? undefined : { id: toNumber(row.id), scope: toText(row.scope) }
}

/** Of a tag with this scope: a user must not take another one's tag by naming a scope of their own. */
async function getTagId (db: JobsDatabase, tag: ScopedTag): Promise<number> {
  const found = await findTag(db, tag)
  if (found === undefined || found.scope !== tag.scope) throw new JobsTagNotFound(titleOf(tag))
  return found.id
}

function titleOf ({ type, name }: ScopedTag): string {
  return `"${name.slice(0, 60)}" of the type "${type.slice(0, 60)}"`
}
