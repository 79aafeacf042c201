/**
 * A service that uses another one: it asks `app.notes`, and knows nothing of its tables. What both do for a request is one transaction.
 *
 * POST /digest adds a note that sums up the others. With `?dry=1` it answers 409 after the note was added, and nothing of it stays: a status of 400 or more rolls back.
 */
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type {} from '../notes/index.ts' // app.notes

async function digest (app: FastifyInstance): Promise<void> {
  app.get('/digest', async () => ({ notes: await app.notes.count() }))

  app.post<{ Querystring: { dry?: string } }>('/digest', async ({ query }, reply) => {
    const note = await app.notes.add(`There are ${await app.notes.count()} notes.`)
    return reply.code(query.dry === undefined ? 201 : 409).send(note)
  })
}

export default fastifyPlugin(digest, { name: 'digest', dependencies: ['notes'], fastify: '5.x' })
