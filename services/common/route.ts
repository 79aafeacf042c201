/**
 * How a route of the group vault is described: for validation, for its answers, for the OpenAPI document and for the table of routes (`npm run routes`) at once.
 *
 * What is kept true: each route belongs to one family; has a schema for each status that is not an error; and refuses what it does not know, in the query string and in the body.
 */
import type { FastifyInstance, FastifySchema } from 'fastify'
import { Type, type TSchema } from 'typebox'
import type {} from '../../plugins/db/index.ts' // app.db
import type {} from '../../plugins/tx/index.ts' // config.tx
import { ErrorAnswer } from './answer-error.ts'
import { validateLate } from './compile-late.ts'

export { closed, idOf } from './shapes.ts'

export const families = ['auth', 'group', 'sync', 'web', 'billing', 'ops', 'internal'] as const
export type Family = typeof families[number]

/** Of most routes. */
export const API = '/api/v1'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Which family of the group vault the route belongs to. */
    family?: Family
  }
}

export interface Description {
  readonly family: Family
  /** In a few words. */
  readonly summary: string
  readonly description?: string
  readonly params?: TSchema
  readonly querystring?: TSchema
  readonly headers?: TSchema
  readonly body?: TSchema
  /** By status: what is answered. Null: nothing, or no JSON. */
  readonly answers: Readonly<Record<number, TSchema | null>>
}

/** The `schema` of a route, and what belongs into its `config`. */
export function describe ({ family, summary, description, answers, ...parts }: Description): { schema: FastifySchema, config: { family: Family } } {
  const response = Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answer ?? Type.Unsafe<null>({ description: summary })]))
  return {
    config: { family },
    schema: { summary, tags: [`vault: ${family}`], ...(description && { description }), ...parts, response: { ...response, '4xx': ErrorAnswer, '5xx': ErrorAnswer } }
  }
}

const strict = { removeAdditional: false, useDefaults: true, allErrors: false } as const
const ofTexts = validateLate({ ...strict, coerceTypes: 'array' })
const ofBodies = validateLate({ ...strict, coerceTypes: false })

/** What is not known is refused, where Fastify's default would take it away; only texts (of the path, the query and the headers) become numbers. */
export function validateStrictly (app: FastifyInstance): void {
  app.setValidatorCompiler(route => (route.httpPart === 'body' ? ofBodies : ofTexts)(route))
}
