/** Tags: `GET /api/tags`, `/api/jobs/tag_job/:id`, `DELETE /api/tags`. Who may see and change one is up to its scope, see tags.ts. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { requireWriter } from '../authentication.ts'
import { within } from '../limits.ts'
import { DetailedJob, TagCounts, TagName } from '../schema.ts'
import { addTags, countTags, removeTag, removeTags } from '../store.ts'
import { findDetailed } from './job.ts'
import { ById, describe, type Context } from './route.ts'

const Tags = Type.Array(TagName, { minItems: 1, maxItems: 1000, examples: [[{ type: 'note', name: 'good', scope: 'global' }]] })
const Removed = Type.Object({ msg: Type.String(), deleted: Type.Integer() })

export function tagsRoutes (app: FastifyInstance, context: Context): void {
  const { deadlines } = context

  app.get('/api/tags', {
    ...describe({ operationId: 'listTags', summary: 'The tags that the user may see, and how many jobs have each', answer: TagCounts })
  }, async ({ jobsUser: user }) => await within(app.db, deadlines.totals, async () => await countTags(app.db, { user })))

  for (const method of ['POST', 'PATCH'] as const) {
    app.route<{ Params: Static<typeof ById>, Body: TagName[] }>({
      method,
      url: '/api/jobs/tag_job/:id',
      ...describe({ operationId: method === 'POST' ? 'tagJob' : 'tagJobByPatch', summary: 'Gives a job tags, which are made if they are not there', params: ById, body: Tags, answer: DetailedJob }),
      onRequest: requireWriter,
      handler: async ({ params: { id }, body: tags, jobsUser: user }) => await within(app.db, deadlines.list, async () => {
        await addTags(app.db, { user, id, tags })
        return await findDetailed(app, context, { user, id, withMetadata: false })
      })
    })
  }

  app.delete<{ Params: Static<typeof ById>, Body: TagName[] }>('/api/jobs/tag_job/:id', {
    ...describe({ operationId: 'untagJob', summary: 'Takes tags from a job; private ones stay', params: ById, body: Tags, answer: DetailedJob }),
    onRequest: requireWriter
  }, async ({ params: { id }, body, jobsUser: user }) => await within(app.db, deadlines.list, async () => {
    await removeTags(app.db, { user, id, tags: body.filter(isShared) })
    return await findDetailed(app, context, { user, id, withMetadata: false })
  }))

  app.delete<{ Body: TagName[] }>('/api/tags', {
    ...describe({ operationId: 'deleteTags', summary: 'Removes tags from all jobs, and the tags themselves; private ones stay', body: Tags, answer: Removed }),
    onRequest: requireWriter
  }, async ({ body, jobsUser: user }) => {
    const deleted = await within(app.db, deadlines.totals, async () => await removeTag(app.db, { user, tags: body.filter(isShared) }))
    return { msg: `Deleted ${deleted} tags`, deleted }
  })
}

function isShared ({ scope = '' }: TagName): boolean {
  return ['', 'global', 'admin'].includes(scope)
}
