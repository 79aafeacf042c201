/**
 * Errors as clients of the group vault see them: `{ error: { code, message, details?, requestId } }`.
 *
 * What is kept true: what was not made for a client, a driver's text above all, is in the log and in no answer. A database that is away, busy or too slow is a 503.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { errorKind } from '../../plugins/errors.ts'
import { BadRequest, DbUnavailable, Internal, NotFound, PREFIX, TooLarge, UnsupportedMedia, Validation, withDetails, type VaultError } from './errors.ts'

/** The form of every error. */
export const ErrorAnswer = Type.Object({
  error: Type.Object({
    code: Type.String({ description: 'stable; docs/errors.md lists them, with a prefix' }),
    message: Type.String(),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    requestId: Type.String()
  })
}, { description: 'What went wrong, and what to do.' })

export function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const told = translate(error)
  const { statusCode = 500, code, wireCode = code.slice(PREFIX.length), message, details } = told
  if (statusCode >= 500) request.log[errorKind(error) === 'aborted' ? 'info' : 'error']({ err: error, route: request.routeOptions.url }, 'a request failed')
  if (statusCode === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', '1')
  reply.code(statusCode).type('application/json; charset=utf-8')
    .send({ error: { code: wireCode, message, ...(details && { details }), requestId: request.id } })
}

export function answerNotFound (request: FastifyRequest, reply: FastifyReply): void {
  answerError(new NotFound(`route ${request.method} ${request.url.split('?')[0]}`), request, reply)
}

/** One of ours for anything that a request can fail with. */
export function translate (error: FastifyError): VaultError {
  if (error.code?.startsWith(PREFIX) === true) return error
  if (error.validation !== undefined) return validationError(error)
  if (isUnavailable(error)) return new DbUnavailable()
  if (error.statusCode === 413) return new TooLarge()
  if (error.statusCode === 415) return new UnsupportedMedia()
  if (error.code?.startsWith('FST_') === true && error.statusCode !== undefined && error.statusCode < 500) return new BadRequest(error.message)
  return new Internal()
}

const unavailable = new Set<string | undefined>(['serialization', 'deadlock', 'busy', 'timeout', 'memory', 'connection', 'aborted'])

function isUnavailable (error: FastifyError): boolean {
  return error.statusCode === 503 || unavailable.has(errorKind(error))
}

/** `details.pointer`: to the part that was refused, as `/body/containers/bank`. */
function validationError ({ validation, validationContext = 'body' }: FastifyError): VaultError {
  const [first] = validation ?? []
  const name = first?.params.additionalProperty ?? first?.params.missingProperty
  const pointer = `/${validationContext}${first?.instancePath ?? ''}${typeof name === 'string' ? `/${name.slice(0, 60)}` : ''}`
  const isUnknown = first?.keyword === 'additionalProperties'
  return withDetails(new Validation(pointer, isUnknown ? 'is not known here' : first?.message ?? 'is not valid'), { pointer })
}
