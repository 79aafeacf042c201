/**
 * The application as one Fastify plugin, for `fastify start app.ts`: config → db → tx → ops → services, in this order.
 * Errors leave it in one form, `{ statusCode, code, error, message }`; what went wrong inside is in the log, and never in an answer. An error that was made for its reader
 * (`expose`: which limit it was) says so itself.
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import config, { type ConfigOptions } from './plugins/config/index.ts'
import db from './plugins/db/index.ts'
import { describeError, errorKind, isOurs } from './plugins/errors.ts'
import ops from './plugins/ops/index.ts'
import tx from './plugins/tx/index.ts'
import { compileLate } from './services/common/compile-late.ts'
import groupVault, { type GroupVaultOptions } from './services/group-vault.ts'
import jobs from './services/jobs/index.ts'
import { isForeign } from './services/jobs/migrations/index.ts'
import { migrations } from './services/migrations.ts'
import { ownVariables } from './services/settings.ts'

/** Read by fastify-cli with `--options`. */
export const options = {
  forceCloseConnections: 'idle',
  logger: { serializers: { err: describeError } },
  routerOptions: { ignoreTrailingSlash: true }
} satisfies FastifyServerOptions

export interface AppOptions extends Pick<ConfigOptions, 'env'> {
  /** For tests. */
  vault?: GroupVaultOptions
}

export default async function app (fastify: FastifyInstance, { env, vault = {} }: AppOptions): Promise<void> {
  fastify.setErrorHandler(answerError)
  fastify.setNotFoundHandler(answerNotFound)
  compileLate(fastify)
  try {
    await fastify.register(config, { env, own: ownVariables })
    await fastify.register(db, { migrations })
    await fastify.register(tx)
    await fastify.register(ops)
    await fastify.register(jobs)
    if (await isForeign(fastify.db)) fastify.log.info('the database belongs to cc-backend: it is shown, and nothing else is kept in it')
    else await fastify.register(groupVault, vault)
  } catch (error) {
    if (isOurs(error)) endPlainly(error)
    throw error
  }
}

/**
 * fastify-cli leaves a failed start to Node.js, which would print a stack and, as its cause, the driver's error. One line says what to do.
 */
function endPlainly (error: Error & { code: string }): void {
  process.prependOnceListener('uncaughtException', thrown => {
    if (thrown !== error) throw thrown
    process.stderr.write(`${error.code}: ${error.message}\n`)
    process.exit(1)
  })
}

function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const { statusCode = 500 } = error
  const isExposed = statusCode < 500 || ('expose' in error && error.expose === true)
  if (statusCode >= 500) request.log[levelOf(error, isExposed)]({ err: error, route: request.routeOptions.url }, 'a request failed')
  if (statusCode === 503) reply.header('retry-after', '1')
  const message = isExposed ? error.message : 'The request could not be answered. The log of the server says why.'
  reply.code(statusCode).type('application/json; charset=utf-8').send({ statusCode, code: error.code, error: STATUS_CODES[statusCode], message, ...pointerOf(error) })
}

/** Nobody is to be woken by a client that has left, or by a limit that was made to be met. */
function levelOf (error: FastifyError, isExposed: boolean): 'info' | 'warn' | 'error' {
  if (errorKind(error) === 'aborted') return 'info'
  return isExposed ? 'warn' : 'error'
}

/** Which part of the request was refused, as a JSON pointer: `/querystring/limit`. */
function pointerOf ({ validation, validationContext }: FastifyError): { pointer?: string } {
  const [first] = validation ?? []
  if (first === undefined) return {}
  const unknown = first.params.additionalProperty ?? first.params.missingProperty
  return { pointer: `/${validationContext ?? ''}${first.instancePath}${typeof unknown === 'string' ? `/${unknown}` : ''}` }
}

function answerNotFound (request: FastifyRequest, reply: FastifyReply): void {
  reply.code(404).send({ statusCode: 404, code: 'FST_ERR_NOT_FOUND', error: 'Not Found', message: `There is no route ${request.method} ${request.url}` })
}
