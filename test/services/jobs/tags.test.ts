// Tags: who sees them, who gives and takes them, and how they are counted, on both engines.
import t from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import type { User } from '../../../services/jobs/schema.ts'
import { addTags, countTags, getTags, queryJobIds, removeTag, removeTags } from '../../../services/jobs/store.ts'
import { makeJobs, type JobData } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { select } from './naive.ts'
import { admin, users } from './users.ts'

const scopes = ['global', 'global', 'admin', 'user00', 'user01', 'user02', 'global']
const data = makeTagged()
const anonymous: User = { username: 'user01', roles: ['anonymous'] }

/** Of each scope one, of global one that no job has. */
function makeTagged (): JobData {
  const made = makeJobs(200, 51)
  const tags = scopes.map((tag_scope, i) => ({ id: i + 1, tag_type: i % 2 === 0 ? 'app' : 'note', tag_name: `tag${i}`, tag_scope }))
  const jobTags = made.jobs.flatMap(({ id }) => tags.filter(tag => tag.id < 7 && id % (tag.id + 1) === 0).map(tag => ({ job_id: id, tag_id: tag.id })))
  return { ...made, tags, jobTags }
}

function isReadable (user: User, scope: string): boolean {
  return scope === 'global' || scope === user.username || (scope === 'admin' && user.roles.some(role => role === 'admin' || role === 'support'))
}

function tagsOf (user: User, id?: number): Array<{ id: number, type: string, name: string, scope: string }> {
  const has = (tag: number): boolean => id === undefined || data.jobTags.some(({ job_id, tag_id }) => job_id === id && tag_id === tag)
  return data.tags.filter(tag => isReadable(user, tag.tag_scope) && has(tag.id)).map(tag => ({ id: tag.id, type: tag.tag_type, name: tag.tag_name, scope: tag.tag_scope }))
}

/** Whose jobs a user's counts are of: all, or those that a user with the role `user` or `manager` sees. */
function counted (user: User): Set<number> {
  const seesAll = user.roles.some(role => role === 'admin' || role === 'support')
  const as = seesAll ? admin : { ...user, roles: user.roles.includes('manager') ? ['manager'] : ['user'] }
  return new Set(select(data, as, [], 0).map(job => job.id))
}

async function namesOf (db: Database, id: number): Promise<string[]> {
  const rows = await db.prepare('SELECT tag.tag_name AS name FROM tag JOIN jobtag ON jobtag.tag_id = tag.id WHERE jobtag.job_id = ? ORDER BY tag.id').all(id)
  return rows.map(row => String(row.name))
}

for (const engine of engines) {
  void t.test(`each user sees the tags of their scopes, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const user of [admin, ...users, anonymous, { username: 'admin', roles: ['user'] }]) {
      const expected = user.username === 'admin' ? tagsOf({ ...user, username: 'x' }) : tagsOf(user)
      t.same(await getTags(db, { user }), expected, JSON.stringify(user))
      for (const id of [6, 12, 60, 199, 999]) t.same(await getTags(db, { user, id }), expected.filter(tag => tagsOf(admin, id).concat(tagsOf(user, id)).some(one => one.id === tag.id)))
      const jobs = counted(user)
      const { tags, counts } = await countTags(db, { user })
      t.same(tags, expected)
      const expectedCounts = expected.map(tag => [`${tag.type}${tag.name}${tag.id}`, data.jobTags.filter(({ job_id, tag_id }) => tag_id === tag.id && jobs.has(job_id)).length] as const)
      t.same(counts, Object.fromEntries(expectedCounts.filter(([, count]) => count > 0 || jobs.size === data.jobs.length)), `counts of ${JSON.stringify(user)}`)
    }
    await t.rejects(getTags(db, { user: null }), { code: 'TDM_ERR_JOBS_UNAUTHENTICATED', statusCode: 401 })
    await t.rejects(countTags(db, { user: null }), { code: 'TDM_ERR_JOBS_UNAUTHENTICATED' })
  })

  void t.test(`tags are given, made if they are not there, and taken, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const before = await namesOf(db, 7)
    const given = await addTags(db, { user: admin, id: 7, tags: [{ type: 'x', name: 'new' }, { type: 'app', name: 'tag6', scope: 'global' }, { type: 'x', name: 'new' }] })
    t.same(given.map(({ name }) => name).slice(-2), ['tag6', 'new'])
    t.same(await namesOf(db, 7), [...before, 'tag6', 'new'])
    const id = String(given.at(-1)?.id)
    t.same(await queryJobIds(db, { user: admin, filter: [{ tags: [id] }] }), [7])
    t.match(given.at(-1), { type: 'x', scope: 'global' })
    await addTags(db, { user: admin, id: 7, tags: [{ type: 'x', name: 'new' }] })
    t.same(await namesOf(db, 7), [...before, 'tag6', 'new'], 'twice is once')
    const left = await removeTags(db, { user: admin, id: 7, tags: [{ type: 'x', name: 'new' }, { type: 'app', name: 'tag6' }] })
    t.same(left.map(({ name }) => name), tagsOf(admin, 7).map(({ name }) => name))
    t.same(await namesOf(db, 7), before)
    t.ok((await getTags(db, { user: admin })).some(({ name }) => name === 'new'), 'the tag itself stays')
    await removeTags(db, { user: admin, id: 7, tags: [{ type: 'x', name: 'new' }] })
  })

  void t.test(`a tag is removed from all jobs, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    t.equal(await removeTag(db, { user: admin, tags: [{ type: 'app', name: 'tag0', scope: 'global' }, { type: 'app', name: 'tag2', scope: 'admin' }] }), 2)
    t.same((await db.prepare('SELECT DISTINCT tag_id FROM jobtag ORDER BY tag_id').all()).map(row => row.tag_id), [2, 4, 5, 6])
    t.same((await getTags(db, { user: admin })).map(({ name }) => name), ['tag1', 'tag6'])
    await t.rejects(removeTag(db, { user: admin, tags: [{ type: 'note', name: 'tag1' }, { type: 'app', name: 'tag0' }] }), { code: 'TDM_ERR_JOBS_TAG_NOT_FOUND', statusCode: 404 })
    t.same((await getTags(db, { user: admin })).map(({ name }) => name), ['tag1', 'tag6'], 'all of them or none')
  })

  void t.test(`who may change which scope, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const all = ['global', 'admin', 'private', 'somebody else']
    const may: Array<[User, string[]]> = [
      [admin, ['global', 'admin', 'private']], [{ username: 'sup', roles: ['support'] }, ['global', 'private']], [{ username: 'tool', roles: ['api'] }, ['global', 'admin', 'private']],
      [{ username: 'user00', roles: ['user'] }, ['private']], [{ username: 'user00', roles: ['user', 'api'] }, ['private']], [{ username: 'user00', roles: ['manager'], projects: [] }, ['private']]
    ]
    const { id } = data.jobs.find(job => job.hpc_user === 'user00') ?? { id: 0 }
    for (const [user, allowed] of may) {
      for (const what of all) {
        const tag = { type: 'may', name: `${user.roles.join()} ${what}`, scope: what === 'private' ? user.username : what }
        const name = JSON.stringify({ user, what })
        if (allowed.includes(what)) {
          const tags = await addTags(db, { user, id, tags: [tag] })
          t.equal(tags.some(one => one.name === tag.name), isReadable(user, tag.scope), name)
          await removeTags(db, { user, id, tags: [tag] })
          t.equal(await removeTag(db, { user, tags: [tag] }), 1)
        } else {
          for (const change of [addTags, removeTags]) await t.rejects(change(db, { user, id, tags: [tag] }), { code: 'TDM_ERR_JOBS_FORBIDDEN_SCOPE', statusCode: 403 }, name)
          await t.rejects(removeTag(db, { user, tags: [tag] }), { code: 'TDM_ERR_JOBS_FORBIDDEN_SCOPE' }, name)
        }
      }
    }
  })

  void t.test(`what cannot be tagged leaves nothing behind, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const user: User = { username: 'user00', roles: ['user'] }
    const other = data.jobs.find(job => job.hpc_user !== 'user00')?.id ?? 0
    const own = data.jobs.find(job => job.hpc_user === 'user00')?.id ?? 0
    const tags = [{ type: 'x', name: 'new', scope: 'user00' }]
    for (const change of [addTags, removeTags]) {
      await t.rejects(change(db, { user, id: other, tags }), { code: 'TDM_ERR_JOBS_NOT_FOUND', statusCode: 404 }, 'a job that is not seen')
      await t.rejects(change(db, { user: admin, id: 9999, tags: [] }), { code: 'TDM_ERR_JOBS_NOT_FOUND' })
      await t.rejects(change(db, { user: null, id: own, tags }), { code: 'TDM_ERR_JOBS_UNAUTHENTICATED' })
      await t.rejects(change(db, { user: { username: 'user00', roles: [] }, id: own, tags }), { code: 'TDM_ERR_JOBS_FORBIDDEN_ROLE' })
      for (const tag of [{ type: '', name: 'x' }, { type: 'x', name: '' }, { type: 'x', name: '\0' }, { type: 'x' }, { type: 'x', name: 'x', more: 1 }]) {
        await t.rejects(change(db, { user: admin, id: own, tags: [tag as { type: string, name: string }] }), { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 })
      }
    }
    await t.rejects(addTags(db, { user, id: own, tags: [...tags, { type: 'app', name: 'tag4', scope: 'user00' }] }), { code: 'TDM_ERR_JOBS_TAG_EXISTS', statusCode: 409 })
    await t.rejects(removeTags(db, { user, id: own, tags: [{ type: 'app', name: 'tag4', scope: 'user00' }] }), { code: 'TDM_ERR_JOBS_TAG_NOT_FOUND' }, 'of another scope')
    t.same((await db.prepare('SELECT COUNT(*) AS n FROM tag').get())?.n, data.tags.length)
    t.same((await db.prepare('SELECT COUNT(*) AS n FROM jobtag').get())?.n, data.jobTags.length)
  })

  void t.test(`the same tag given by many at once is made once, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const ids = data.jobs.slice(0, 8).map(job => job.id)
    const answers = await Promise.all(ids.map(id => addTags(db, { user: admin, id, tags: [{ type: 'x', name: 'new' }] })))
    const tags = new Set(answers.map(tagsOfJob => tagsOfJob.at(-1)?.id))
    t.equal(tags.size, 1)
    t.same(await queryJobIds(db, { user: admin, filter: [{ tags: [String([...tags][0])] }] }), ids)
  })
}
