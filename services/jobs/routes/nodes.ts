/** Where jobs run: `/api/jobs/used_nodes`, `/api/partitions`, `/api/allocated_nodes`. They say nothing about single jobs, so every known user may ask. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { visibleTo } from '../access.ts'
import { requireApi } from '../authentication.ts'
import { within } from '../limits.ts'
import { allocatedNodes, partitions, usedNodes } from '../store.ts'
import { describe, type Context } from './route.ts'

const closed = { additionalProperties: false }
const ClusterQuery = Type.Object({ cluster: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]*$', description: 'exactly', examples: ['alex'] }) }, closed)
const TimeQuery = Type.Object({ ts: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'unix seconds', examples: [1675960000] }) }, closed)

const UsedNodesAnswer = Type.Object({ usedNodes: Type.Record(Type.String(), Type.Array(Type.String()), { description: 'hosts by cluster' }) })
const PartitionsAnswer = Type.Object({ partitions: Type.Array(Type.String()) })
const AllocatedNodesAnswer = Type.Object({
  allocatedNodes: Type.Record(Type.String(), Type.Record(Type.String(), Type.Integer()), { description: 'how many jobs run, by subcluster and host' })
})

export function nodesRoutes (app: FastifyInstance, { deadlines }: Context): void {
  app.get<{ Querystring: Static<typeof TimeQuery> }>('/api/jobs/used_nodes', {
    ...describe({ operationId: 'getUsedNodes', summary: 'The hosts of jobs that run and started before a time, for tokens with the role api', querystring: TimeQuery, answer: UsedNodesAnswer }),
    onRequest: requireApi,
    config: { tx: false }
  }, async ({ query: { ts } }) => ({ usedNodes: await within(app.db, deadlines.list, async () => await usedNodes(app.db, { startTime: ts })) }))

  app.get<{ Querystring: Static<typeof ClusterQuery> }>('/api/partitions', {
    ...describe({ operationId: 'getPartitions', summary: 'The partitions of a cluster', querystring: ClusterQuery, answer: PartitionsAnswer }),
    onRequest: requireUser
  }, async ({ query: { cluster } }) => ({ partitions: await within(app.db, deadlines.list, async () => await partitions(app.db, { cluster })) }))

  app.get<{ Querystring: Static<typeof ClusterQuery> }>('/api/allocated_nodes', {
    ...describe({ operationId: 'getAllocatedNodes', summary: 'How many jobs run on each host of a cluster', querystring: ClusterQuery, answer: AllocatedNodesAnswer }),
    onRequest: requireUser,
    config: { tx: false }
  }, async ({ query: { cluster } }) => ({ allocatedNodes: await within(app.db, deadlines.list, async () => await allocatedNodes(app.db, { cluster })) }))
}

/** Throws `TDM_ERR_JOBS_FORBIDDEN_ROLE` for a user who may see no job at all. */
async function requireUser ({ jobsUser }: FastifyRequest): Promise<void> {
  visibleTo(jobsUser)
}
