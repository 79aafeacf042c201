/**
 * How often who may ask for what: hooks for routes.
 *
 * What is kept true: who has too many gets 429 with Retry-After before anything of the request is done. Counted in this process.
 */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { RateLimited } from './errors.ts'

export interface Limit {
  readonly max: number
  readonly seconds: number
  /** Who is counted. Undefined: this request is not. */
  readonly by: (request: FastifyRequest) => string | undefined
}

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

declare module 'fastify' {
  interface FastifyInstance {
    /** A hook that lets so many through. Throws `RATE_LIMITED`. */
    limitTo: (limit: Limit) => Hook
  }
}

/** `factor`: how many times as much as the limits say. Default: 1. */
async function rateLimits (app: FastifyInstance, { factor = 1 }: { factor?: number }): Promise<void> {
  await app.register(rateLimit, { global: false })
  app.decorate('limitTo', ({ max, seconds, by }: Limit): Hook => {
    const count = app.createRateLimit({ max: max * factor, timeWindow: seconds * 1000, keyGenerator: request => by(request) ?? '' })
    return async (request, reply) => {
      if (by(request) === undefined) return
      const counted = await count(request)
      if (counted.isAllowed || !counted.isExceeded) return
      reply.header('retry-after', counted.ttlInSeconds)
      throw new RateLimited(counted.ttlInSeconds)
    }
  })
}

export default fastifyPlugin(rateLimits, { name: 'vault-rate-limits', fastify: '5.x' })
