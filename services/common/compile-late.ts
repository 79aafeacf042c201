/**
 * Validators and serializers that are compiled when a request first needs them: to compile those of all routes took four fifths of a start.
 *
 * What is kept true: a schema is compiled once in a process, for however many routes it stands in (a HEAD route has those of its GET route, all routes have that of errors).
 * What is given up: that a start finds a schema which cannot be compiled; a test does. Schemas that name others by `$ref` are not for it.
 */
import ajvCompiler from '@fastify/ajv-compiler'
import serializerCompiler from '@fastify/fast-json-stringify-compiler'
import type { FastifyInstance, FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'

type Validate = ReturnType<ReturnType<ReturnType<typeof ajvCompiler>>>
type Serialize = (data: unknown) => string
/** To a function with `schemaEnv` Fastify says where the data stands, so that Ajv can put another value there. */
type LateValidate = ReturnType<FastifySchemaCompiler<unknown>> & { schemaEnv: object }

/** For the routes below `app` that say nothing else. Validates as Fastify does by default. */
export function compileLate (app: FastifyInstance): void {
  app.setValidatorCompiler(ofFastify)
  app.setSerializerCompiler(serializeLate)
}

/** `options`: of Ajv, on top of Fastify's. */
export function validateLate (options: object): FastifySchemaCompiler<unknown> {
  const compile = ajvCompiler()({}, { customOptions: options })
  const compiled = kept(schema => compile({ schema }))
  return ({ schema }) => {
    let validate: Validate | undefined
    const late: LateValidate = Object.assign((data: unknown, place?: Parameters<Validate>[1]) => {
      validate ??= compiled(schema as object)
      const isValid = validate(data, place)
      late.errors = validate.errors as LateValidate['errors']
      return isValid
    }, { schemaEnv: {} })
    return late
  }
}

const ofFastify = validateLate({})
const compileSerializer = serializerCompiler()({})
const serializers = kept<Serialize>(schema => compileSerializer({ schema, method: '', url: '', httpStatus: '' }))

const serializeLate: FastifySerializerCompiler<unknown> = ({ schema }) => {
  let serialize: Serialize | undefined
  return data => (serialize ??= serializers(schema as object))(data)
}

/** Calls `make` once for each schema. */
function kept<T> (make: (schema: object) => T): (schema: object) => T {
  const made = new WeakMap<object, T>()
  return schema => {
    const known = made.get(schema) ?? make(schema)
    made.set(schema, known)
    return known
  }
}
