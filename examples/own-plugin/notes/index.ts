/** Notes as a plugin: routes for them, and `app.notes` for other plugins. It holds no SQL. */
import type { FastifyInstance } from 'fastify'
import type {} from 'fastify-tandem/db' // app.db
import fastifyPlugin from 'fastify-plugin'
import { noteBody, noteParams, type NoteBody, type NoteParams } from './schema.ts'
import { NoteStore } from './store.ts'

/** Its name is part of a table's name in the database, and never changes. */
export const noteMigrations = { name: 'notes', directory: new URL('./migrations/', import.meta.url), sameForBoth: true }

declare module 'fastify' {
  interface FastifyInstance {
    notes: NoteStore
  }
}

async function notes (app: FastifyInstance): Promise<void> {
  const store = new NoteStore(app.db)
  app.decorate('notes', store)

  app.get('/notes', async () => await store.list())

  app.get<{ Params: NoteParams }>('/notes/:id', { schema: { params: noteParams } }, async ({ params }, reply) => {
    const note = await store.find(params.id)
    return note ?? reply.code(404).send({ message: `There is no note ${params.id}` })
  })

  app.post<{ Body: NoteBody }>('/notes', { schema: { body: noteBody } }, async ({ body }, reply) => {
    reply.code(201)
    return await store.add(body.text)
  })
}

export default fastifyPlugin(notes, { name: 'notes', dependencies: ['tandem-db', 'tandem-tx'], fastify: '5.x' })
