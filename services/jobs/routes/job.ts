/** `GET /api/jobs/:id`: one job. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { within } from '../limits.ts'
import { Job } from '../schema.ts'
import { findById } from '../store.ts'
import { ById, describe, type Context } from './route.ts'

export function jobRoutes (app: FastifyInstance, { store, deadlines }: Context): void {
  app.get<{ Params: Static<typeof ById> }>('/api/jobs/:id', {
    ...describe({ operationId: 'getJob', summary: 'One job', params: ById, answer: Job }),
    config: { tx: false }
  }, async ({ params: { id }, jobsUser: user }) => await within(app.db, deadlines.list, async () => await findById(app.db, { user, id }, store)))
}
