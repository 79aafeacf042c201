/**
 * Who asks, in a group: hooks for routes with `:groupId`, and for routes of plugins.
 *
 * What is kept true: who is no member is told that there is no such group; a member whose role is too low, what is needed. A token that is malformed costs no look at the
 * database, one that was revoked is refused at once. Stores check again, under the lock of the group, what they depend on.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { errorKind } from '../../plugins/errors.ts'
import { sessionOf } from '../auth/access.ts'
import type { VaultContext } from '../common/context.ts'
import { Forbidden, NotFound, TokenMissing, TokenRevoked, Unauthenticated } from '../common/errors.ts'
import { idPattern } from '../common/ids.ts'
import { isToken } from '../common/secrets.ts'
import { findDevice, findMembership, isDemoGroup, touchToken, TOUCH_MS, type Device, type Membership, type Role } from './lookups.ts'

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

declare module 'fastify' {
  interface FastifyRequest {
    membership: Membership | null
    device: Device | null
  }
  interface FastifyInstance {
    /** For `onRequest` of a route; each does what `access.signedIn` does, except `reader` and `plugin`. */
    inGroup: {
      readonly member: Hook
      /** Owner or admin. */
      readonly admin: Hook
      readonly owner: Hook
      /** A member; in the demo group anybody, without a membership. For routes that only read, and whose answer is fit for strangers. */
      readonly reader: Hook
      /** By `Authorization: Bearer gv_…`. Throws `TOKEN_INVALID`, `TOKEN_REVOKED`. */
      readonly plugin: Hook
    }
  }
}

/** How often one plugin may ask: so often, and so many at once. */
export const PLUGIN_LIMIT = { max: 15, seconds: 5 } as const

const groupId = new RegExp(idPattern('group'))

/** Of a request whose route asked for one. */
export function membershipOf ({ membership }: FastifyRequest): Membership {
  if (membership === null) throw new NotFound('group')
  return membership
}

/** Of a request whose route asked for one. */
export function deviceOf ({ device }: FastifyRequest): Device {
  if (device === null) throw new TokenMissing()
  return device
}

async function groupAccess (app: FastifyInstance, { now }: VaultContext): Promise<void> {
  app.decorateRequest('membership', null)
  app.decorateRequest('device', null)

  const require = (roles: readonly Role[]): Hook => async (request, reply) => {
    await app.access.signedIn(request, reply)
    const { groupId: id = '' } = request.params as { groupId?: string }
    const found = groupId.test(id) ? await app.db.outsideTx(async () => await findMembership(app.db, id, sessionOf(request).userId)) : undefined
    if (found === undefined) throw new NotFound('group')
    if (!roles.includes(found.role)) throw new Forbidden(`the role ${roles.join(' or ')} in this group`)
    request.membership = found
  }

  async function reader (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await app.access.anybody(request, reply)
    const { session } = request
    const { groupId: id = '' } = request.params as { groupId?: string }
    const found = session === null || !groupId.test(id) ? undefined : await app.db.outsideTx(async () => await findMembership(app.db, id, session.userId))
    if (found !== undefined) request.membership = found
    else if (!groupId.test(id) || !await app.db.outsideTx(async () => await isDemoGroup(app.db, id))) throw session === null ? new Unauthenticated() : new NotFound('group')
  }

  const limitPlugin = app.limitTo({ ...PLUGIN_LIMIT, by: ({ device }) => device?.tokenId })

  async function plugin (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const [, token = ''] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
    reply.header('www-authenticate', 'Bearer realm="vault"')
    if (!isToken('gv', token)) throw new TokenMissing()
    const found = await app.db.outsideTx(async () => await findDevice(app.db, token, now()))
    if (found === undefined) throw new TokenRevoked()
    reply.removeHeader('www-authenticate')
    request.device = found
    await limitPlugin(request, reply)
    if (now() - (found.lastUsedAt ?? 0) >= TOUCH_MS) noteUse(request, found)
  }

  /** Nobody waits for it. */
  function noteUse ({ log }: FastifyRequest, { tokenId }: Device): void {
    app.db.outsideTx(async () => { await touchToken(app.db, tokenId, now()) }).catch((error: unknown) => {
      if (errorKind(error) !== 'aborted') log.warn({ err: error, token: tokenId }, 'the last use of a token could not be noted')
    })
  }

  app.decorate('inGroup', { member: require(['owner', 'admin', 'member']), admin: require(['owner', 'admin']), owner: require(['owner']), reader, plugin })
}

export default fastifyPlugin(groupAccess, { name: 'vault-group-access', dependencies: ['vault-access', 'vault-rate-limits'], fastify: '5.x' })
