/** What a contender of the measurements over HTTP is: how its server is opened, and what its routes do. */
import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify'

export interface Routes {
  /** The row with this id. */
  readonly read?: (id: number, request: FastifyRequest) => Promise<unknown>
  readonly readOptions?: RouteShorthandOptions
  readonly move?: (account: number, request: FastifyRequest) => Promise<void>
  readonly moveOptions?: RouteShorthandOptions
}

export interface HttpContender {
  /** What has to be installed. */
  readonly needs?: readonly string[]
  readonly reads: boolean
  readonly moves: boolean
  readonly open: (app: FastifyInstance, url: string) => Promise<Routes>
}
