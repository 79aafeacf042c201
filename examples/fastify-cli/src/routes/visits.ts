/** Counts visits of pages. Each request is a transaction; a GET is one that only reads. */
import type { FastifyInstance } from 'fastify'

interface Visits { page: string, visits: number }

export default async function visits (fastify: FastifyInstance): Promise<void> {
  const find = fastify.db.prepare<Visits>('SELECT page, visits FROM visit WHERE page = ?')
  const count = fastify.db.prepare<Visits>('INSERT INTO visit (page, visits) VALUES (?, 1) ON CONFLICT (page) DO UPDATE SET visits = visit.visits + 1 RETURNING page, visits')

  fastify.get<{ Params: { page: string } }>('/:page', async ({ params }) => await find.get(params.page) ?? { page: params.page, visits: 0 })

  fastify.post<{ Params: { page: string } }>('/:page', async ({ params }) => await count.get(params.page))
}
