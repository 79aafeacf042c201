/**
 * Live events of a group, as server-sent events. For its members, if its plan has them; of the demo group for everybody.
 *
 * What is kept true: a stream holds neither a transaction nor a connection of the database. All that can fail fails before its first byte, and is then an answer like any
 * other. A client that does not take its farewell is cut off.
 */
import { fastifySSE } from '@fastify/sse'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type, type Static } from 'typebox'
import { isOurs } from '../../../plugins/errors.ts'
import type { VaultContext } from '../../common/context.ts'
import { FeatureNotInPlan, NotFound } from '../../common/errors.ts'
import { API, closed, describe, idOf } from '../../common/route.ts'
import type {} from '../../groups/access.ts' // app.inGroup
import { findFeatures } from '../../ops/features.ts'
import { LiveUnavailable, OnlyEvents } from '../errors.ts'
import type { EventQueue } from '../event-queue.ts'
import { beginEvents, streamEvents } from '../events.ts'
import { hubOf, type Watcher } from '../hub.ts'
import { mayWatch, readBeginning } from '../watchers.ts'

const HEARTBEAT_MS = 25_000
const FAREWELL_MS = 2000

const Params = closed({ groupId: idOf('group') })
const Query = closed({ since: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'the version seen last, for clients that cannot send Last-Event-ID' })) })
interface Events { Params: Static<typeof Params>, Querystring: Static<typeof Query> }

const route = describe({
  family: 'web',
  summary: 'Live events of a group',
  description: `text/event-stream with the events hello, vault, presence, roster, activity, billing, catalog, resync (read everything anew) and bye (why it ends: do not come back at once).
The id is the version of the group; with Last-Event-ID what happened since is sent first. A person can have 4 streams: with a fifth the oldest ends.`,
  params: Params,
  querystring: Query,
  answers: { 200: null }
})

export async function eventsRoutes (app: FastifyInstance, { now, log }: VaultContext): Promise<void> {
  const hub = hubOf(app.db)
  await app.register(fastifySSE, { heartbeatInterval: HEARTBEAT_MS })
  app.addHook('preClose', done => {
    hub.close()
    done()
  })
  const limit = app.limitTo({ max: 60, seconds: 60, by: request => request.session?.userId ?? request.ip })

  /** Throws `FEATURE_NOT_IN_PLAN`, `LIVE_UNAVAILABLE`. */
  async function prepare (groupId: string): Promise<void> {
    const { plan } = await readBeginning(app.db, groupId)
    const { live } = await findFeatures(app.db, { groupId, plan })
    if (live !== true) throw new FeatureNotInPlan('live events')
    try {
      await hub.start(log, now)
    } catch (error) {
      throw isOurs(error) && error.code === 'TDM_ERR_EVENTS_POOLED' ? new LiveUnavailable() : error
    }
  }

  async function stream (request: FastifyRequest<Events>, reply: FastifyReply): Promise<void> {
    const { groupId } = request.params
    await prepare(groupId)
    const watcher = watcherOf(request, groupId)
    const queue = hub.add(watcher)
    reply.sse.onClose(() => { hub.remove(queue) })
    try {
      // as of now, since what ends it is heard from now on
      if (!await mayWatch(app.db, watcher, now())) throw new NotFound('group')
      const beginning = await beginEvents(app.db, { groupId, seen: seenOf(request), now: now() })
      cutOff(queue, reply)
      reply.header('cache-control', 'no-cache, no-transform')
      await reply.sse.send(streamEvents(queue, beginning))
    } finally {
      hub.remove(queue)
    }
  }

  app.get<Events>(`${API}/web/groups/:groupId/events`, {
    ...route,
    config: { ...route.config, tx: false },
    exposeHeadRoute: false,
    sse: 'only',
    onRequest: [takesEvents, app.inGroup.reader, limit]
  }, stream)
}

async function takesEvents ({ headers: { accept } }: FastifyRequest): Promise<void> {
  if (accept !== undefined && !/text\/event-stream(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))|text\/\*|\*\/\*/i.test(accept)) throw new OnlyEvents()
}

function watcherOf ({ session, membership, ip }: FastifyRequest, groupId: string): Watcher {
  const isMember = session !== null && membership !== null
  return { groupId, sessionId: isMember ? session.publicId : null, userId: isMember ? session.userId : null, address: ip }
}

function seenOf ({ headers, query }: FastifyRequest<Events>): number | undefined {
  const id = headers['last-event-id']
  if (id === undefined || id === '') return query.since
  return typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : NaN
}

/** When the stream has ended, and the client does not take what is left of it. */
function cutOff (queue: EventQueue, { raw }: FastifyReply): void {
  queue.ended.then(() => {
    const timer = setTimeout(() => { raw.destroy() }, FAREWELL_MS).unref()
    raw.once('close', () => { clearTimeout(timer) })
  }, () => {})
}
