/**
 * What all routes have in common: how one is described, for validation, for its answers and for the OpenAPI document at once; and what it works with.
 *
 * What is kept true: a name that a route does not know, in the query string or in the body, is refused. Looked for before validation, because Fastify's default is to
 * remove it there.
 */
import type { FastifyRequest } from 'fastify'
import { Type, type TSchema } from 'typebox'
import type {} from '../../../plugins/db/index.ts' // app.db
import type {} from '../../../plugins/tx/index.ts' // config.tx
import { JobsBadInput } from '../errors.ts'
import type { Deadlines } from '../limits.ts'
import type { JobsOptions } from '../store.ts'

/** What the routes work with. */
export interface Context {
  readonly store: JobsOptions
  readonly deadlines: Deadlines
}

export interface Description {
  readonly operationId: string
  /** In a few words. */
  readonly summary: string
  readonly description?: string
  readonly params?: TSchema
  readonly querystring?: TSchema
  readonly body?: TSchema
  readonly answer: TSchema
  /** Of the answer. Default: 200. */
  readonly status?: number
  /** Beside the answer as JSON: its other forms, by media type. */
  readonly alsoAs?: Readonly<Record<string, TSchema>>
}

/** The form of every error. */
export const ErrorAnswer = Type.Object({
  statusCode: Type.Integer(),
  code: Type.Optional(Type.String({ description: 'stable; docs/errors.md lists those that begin with TDM_ERR' })),
  error: Type.String(),
  message: Type.String(),
  pointer: Type.Optional(Type.String({ description: 'to the part of the request that was refused' }))
}, { description: 'What went wrong, and what to do.' })

/** The row id in the path. */
export const ById = Type.Object({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'of the row, as in the answers', examples: [1] }) })

/** For the options of a route. */
export function describe ({ operationId, summary, description, params, querystring, body, answer, status = 200, alsoAs }: Description) {
  const forms = { 'application/json': answer, ...alsoAs }
  const content = Object.fromEntries(Object.entries(forms).map(([type, schema]) => [type, { schema }]))
  return {
    schema: {
      operationId,
      summary,
      tags: ['jobs'],
      ...(description === undefined ? {} : { description }),
      ...(params === undefined ? {} : { params }),
      ...(querystring === undefined ? {} : { querystring }),
      ...(body === undefined ? {} : { body }),
      response: { [status]: { description: summary, content }, '4xx': ErrorAnswer, '5xx': ErrorAnswer }
    },
    preValidation: async (request: FastifyRequest): Promise<void> => {
      refuseUnknown(request.query, querystring ?? nothing, 'querystring')
      if (body !== undefined) refuseUnknown(request.body, body, 'body')
    }
  }
}

const nothing = Type.Object({})

/** As much of a JSON schema as is needed to find what it does not know. */
interface Node { readonly properties?: Readonly<Record<string, Node>>, readonly items?: Node }

/** Throws `TDM_ERR_JOBS_BAD_INPUT`, in the form of Fastify's own validation errors. */
function refuseUnknown (value: unknown, schema: Node, part: 'querystring' | 'body'): void {
  const found = findUnknown(value, schema, '')
  if (found === undefined) return
  const { path, name, known } = found
  const error = new JobsBadInput(`${part}${path}/${name.slice(0, 60)}`, known.length === 0 ? 'is not known here; nothing is.' : `is not known here. There are ${known.join(', ')}.`)
  throw Object.assign(error, {
    validationContext: part,
    validation: [{ keyword: 'additionalProperties', instancePath: path, schemaPath: '#/additionalProperties', params: { additionalProperty: name } }]
  })
}

interface Unknown { readonly path: string, readonly name: string, readonly known: string[] }

function findUnknown (value: unknown, { properties, items }: Node, path: string): Unknown | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) return items === undefined ? undefined : firstOf(value.map((item, i) => () => findUnknown(item, items, `${path}/${i}`)))
  if (properties === undefined) return undefined
  return firstOf(Object.entries(value).map(([name, inner]) => () => {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined
    return schema === undefined ? { path, name, known: Object.keys(properties) } : findUnknown(inner, schema, `${path}/${name}`)
  }))
}

function firstOf<T> (searches: ReadonlyArray<() => T | undefined>): T | undefined {
  for (const search of searches) {
    const found = search()
    if (found !== undefined) return found
  }
  return undefined
}
