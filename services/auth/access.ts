/**
 * Who asks, by session cookie: hooks for the routes of all services.
 *
 * What is kept true:
 *  1. The session is looked up outside of the request's transaction: a stranger never waits for a writer, and never is one. What a store must be sure of it checks again
 *     under the lock of the group.
 *  2. A change that is asked for by cookie needs the token of this session and an `Origin` of the app's own.
 *  3. The name of the cookie says that it came over TLS, wherever the app is reached over TLS.
 */
import cookie, { type CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { errorKind } from '../../plugins/errors.ts'
import type { VaultContext } from '../common/context.ts'
import { Csrf, Forbidden, Unauthenticated } from '../common/errors.ts'
import { isLocal } from '../common/local.ts'
import { isSameSecret } from '../common/secrets.ts'
import { findSession, isStale, LONGEST_MS, touchSession, type Session } from './sessions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the person who asks; null: nobody is known, or the route does not ask for one. */
    session: Session | null
  }
  interface FastifyInstance {
    /** For `onRequest` of a route: what has to be true of who asks. */
    access: Access
  }
}

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

export interface Access {
  /** Takes the session if there is one. Throws `CSRF` as `signedIn` does. */
  readonly anybody: Hook
  /** Throws `UNAUTHENTICATED`; `CSRF` for a change from elsewhere; `RATE_LIMITED` for more than 60 changes in a minute. */
  readonly signedIn: Hook
  /** As `signedIn`; throws `FORBIDDEN` for who does not operate the app. */
  readonly operator: Hook
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** The session of a request whose route asked for one. */
export function sessionOf ({ session }: FastifyRequest): Session {
  if (session === null) throw new Unauthenticated()
  return session
}

/** Where people reach the app: VAULT_URL, or the address of a request of this machine's own. Undefined: it has none. */
export function originOf (request: FastifyRequest, { settings }: Pick<VaultContext, 'settings'>): string | undefined {
  if (settings.url !== undefined) return settings.url
  return isLocal(request) ? `${request.protocol}://${request.host}` : undefined
}

export function setSessionCookie (request: FastifyRequest, reply: FastifyReply, context: VaultContext, id: string): void {
  const { name, options } = cookieFor(request, context)
  reply.setCookie(name, id, { ...options, maxAge: LONGEST_MS / 1000 })
}

export function clearSessionCookie (request: FastifyRequest, reply: FastifyReply, context: VaultContext): void {
  const { name, options } = cookieFor(request, context)
  reply.clearCookie(name, options)
}

function cookieFor (request: FastifyRequest, context: VaultContext): { name: string, options: CookieSerializeOptions } {
  const secure = originOf(request, context)?.startsWith('https:') ?? true
  return { name: secure ? '__Host-vault_sid' : 'vault_sid', options: { path: '/', httpOnly: true, secure, sameSite: 'lax' } }
}

async function accessPlugin (app: FastifyInstance, context: VaultContext): Promise<void> {
  await app.register(cookie)
  app.decorateRequest('session', null)

  async function anybody (request: FastifyRequest): Promise<void> {
    const id = request.cookies[cookieFor(request, context).name]
    if (id === undefined) return
    const now = context.now()
    const session = await app.db.outsideTx(async () => await findSession(app.db, id, now))
    if (session === undefined) return
    if (!SAFE_METHODS.has(request.method) && !isOwn(request, session)) throw new Csrf()
    request.session = session
    if (isStale(session, now)) noteUse(request, session, now)
  }

  function isOwn (request: FastifyRequest, { csrfToken }: Session): boolean {
    const given = request.headers['x-csrf-token']
    return typeof given === 'string' && isSameSecret(given, csrfToken) && request.headers.origin === originOf(request, context)
  }

  /** Nobody waits for it. */
  function noteUse ({ log }: FastifyRequest, { publicId }: Session, now: number): void {
    app.db.outsideTx(async () => { await touchSession(app.db, publicId, now) }).catch((error: unknown) => {
      if (errorKind(error) !== 'aborted') log.warn({ err: error }, 'the last use of a session could not be noted')
    })
  }

  const limitWrites = app.limitTo({ max: 60, seconds: 60, by: ({ session }) => session?.userId })

  async function signedIn (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await anybody(request)
    if (request.session === null) throw new Unauthenticated()
    if (!SAFE_METHODS.has(request.method)) await limitWrites(request, reply)
  }

  app.decorate('access', {
    anybody,
    signedIn,
    operator: async (request, reply) => {
      await signedIn(request, reply)
      if (!sessionOf(request).isOperator) throw new Forbidden('an operator of the app')
    }
  } satisfies Access)
}

export default fastifyPlugin(accessPlugin, { name: 'vault-access', dependencies: ['vault-rate-limits'], fastify: '5.x' })
