/**
 * Who asks: the user of the token that a request brings, and how often it may ask.
 *
 * What is kept true:
 *  1. With `Authorization: Bearer <token>` the request is the token's user's, or 401. Without it: 401, as long as there is any token.
 *  2. While there is no token, requests that began on this machine are an admin's. One that was forwarded, or was sent to a name that is not this machine's (a page in a
 *     browser, from a name that was made to point here), is not such a request: 401.
 *  3. Requests are counted by token, and those without a valid one by address. Who has too many there is not looked up any more.
 */
import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isLocal } from '../common/local.ts'
import { JobsBadToken, JobsForbiddenUse, JobsRateLimit, JobsUnauthenticated } from './errors.ts'
import type { User } from './schema.ts'
import type { TokenCache } from './token-cache.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks the jobs service; null: nobody is known. */
    jobsUser: User | null
    /** What its requests are counted by. */
    jobsCountedBy: string
  }
}

/** So many requests in so many seconds, with one token; without one from one address. */
export interface RateLimit { readonly requests: number, readonly seconds: number }

export const defaultRateLimit: RateLimit = { requests: 60_000, seconds: 60 }

export interface AuthenticationOptions {
  /** Undefined: the database keeps no tokens. */
  readonly tokens: TokenCache | undefined
  readonly rateLimit: RateLimit
}

/** On this machine, while there is no token. */
const localAdmin: User = { username: 'local', roles: ['admin', 'api'] }

/** Gives each request of `app` its user, or refuses it. */
export async function authenticate (app: FastifyInstance, { tokens, rateLimit: limit }: AuthenticationOptions): Promise<void> {
  await app.register(rateLimit, { global: false })
  app.decorateRequest('jobsUser', null)
  app.decorateRequest('jobsCountedBy', '')
  const count = app.createRateLimit({ max: limit.requests, timeWindow: limit.seconds * 1000, keyGenerator: ({ jobsCountedBy }) => jobsCountedBy })

  async function refuseTooMany (request: FastifyRequest, reply: FastifyReply, increment: boolean): Promise<void> {
    const counted = await count(request, { increment })
    if (counted.isAllowed || !counted.isExceeded) return
    reply.header('retry-after', counted.ttlInSeconds)
    throw new JobsRateLimit(`${limit.requests} requests in ${limit.seconds} s`, counted.ttlInSeconds)
  }

  app.addHook('onRequest', async (request, reply) => {
    request.jobsCountedBy = `address ${normalizeIP(request.ip)}`
    const token = tokenOf(request)
    if (token === undefined || tokens?.has(token) !== true) await refuseTooMany(request, reply, false)
    try {
      const known = token === undefined ? await findLocal(request, tokens) : await findHolder(token, tokens)
      request.jobsUser = known.user
      request.jobsCountedBy = known.countedBy ?? request.jobsCountedBy
    } catch (error) {
      if (error instanceof JobsUnauthenticated) reply.header('www-authenticate', 'Bearer realm="jobs"')
      if (error instanceof JobsBadToken) reply.header('www-authenticate', 'Bearer realm="jobs", error="invalid_token"')
      await refuseTooMany(request, reply, true)
      throw error
    }
    await refuseTooMany(request, reply, true)
  })
}

interface Known { readonly user: User, readonly countedBy?: string }

/** Throws `TDM_ERR_JOBS_BAD_TOKEN`. */
async function findHolder (token: string, tokens: TokenCache | undefined): Promise<Known> {
  const found = /^[\w-]{43}$/.test(token) ? await tokens?.find(token) : undefined
  if (found === undefined) throw new JobsBadToken()
  return { user: found.user, countedBy: `token ${found.id}` }
}

/** Throws `TDM_ERR_JOBS_UNAUTHENTICATED`. */
async function findLocal (request: FastifyRequest, tokens: TokenCache | undefined): Promise<Known> {
  if (!isLocal(request) || await tokens?.hasSome() === true) throw new JobsUnauthenticated()
  return { user: localAdmin }
}

/** Undefined: the request brings none. What is not a Bearer token is a wrong one. */
function tokenOf ({ headers: { authorization } }: FastifyRequest): string | undefined {
  if (authorization === undefined) return undefined
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
}

// --- what a token may --------------------------------------------------------------------------------------------------------------

/** Throws `TDM_ERR_JOBS_FORBIDDEN_USE` unless the user may change jobs: exactly [api], or admin with api. */
export async function requireWriter ({ jobsUser }: FastifyRequest): Promise<void> {
  const roles = jobsUser?.roles ?? []
  if (!roles.includes('api') || !(roles.length === 1 || roles.includes('admin'))) throw refused('api alone, or admin and api', roles)
}

/** Throws `TDM_ERR_JOBS_FORBIDDEN_USE` unless the user has the role api. */
export async function requireApi ({ jobsUser }: FastifyRequest): Promise<void> {
  const roles = jobsUser?.roles ?? []
  if (!roles.includes('api')) throw refused('api', roles)
}

function refused (expected: string, roles: readonly string[]): Error {
  return new JobsForbiddenUse(expected, roles.length === 0 ? 'none' : roles.join(', '))
}
