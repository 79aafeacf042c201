/** What a contender of the measurements over HTTP is: how its server is opened, and what its routes do. */
import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify'

export interface Routes {
  /** The row with this id. */
  readonly read?: (id: number, request: FastifyRequest) => unknown
  readonly readOptions?: RouteShorthandOptions
  /** A transaction of three statements. */
  readonly move?: (account: number, request: FastifyRequest) => unknown
  readonly moveOptions?: RouteShorthandOptions
}

export interface HttpContender {
  readonly name: string
  /** What has to be installed. */
  readonly needs?: readonly string[]
  readonly reads: boolean
  readonly moves: boolean
  /** `target`: the path of an SQLite file, or the URL of a PostgreSQL database. */
  readonly open: (app: FastifyInstance, target: string) => Promise<Routes>
}
