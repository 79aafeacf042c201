/**
 * The errors that all services of the group vault share, and how one is made. A service's own errors stand beside its routes.
 * Clients see the code without its first part: `NOT_FOUND`.
 */
import createError, { type FastifyError } from '@fastify/error'

/** What an answer says beside code and message. */
export type Details = Readonly<Record<string, unknown>>

export interface VaultError extends FastifyError {
  readonly details?: Details
  /** What clients see as the code, where another standard says what that is. Default: the code without its first part. */
  readonly wireCode?: string
}

const AREA = 'VAULT'
export const PREFIX = `TDM_ERR_${AREA}_`

/** A class of errors. `%s` in the message are filled from the arguments of its constructor. */
export function define<Args extends unknown[] = []> (code: `TDM_ERR_${typeof AREA}_${string}`, message: string, statusCode: number) {
  return createError<typeof code, Args>(code, message, statusCode)
}

/** The same error, with what the client needs to go on. */
export function withDetails<E extends Error> (error: E, details: Details): E & { details: Details } {
  return Object.assign(error, { details })
}

export const BadRequest = define<[problem: string]>('TDM_ERR_VAULT_BAD_REQUEST', 'The request cannot be understood: %s', 400)
/** Made of what the validator says; `details.pointer` names the part of the request. */
export const Validation = define<[where: string, problem: string]>('TDM_ERR_VAULT_VALIDATION', '%s %s.', 400)
export const BadCursor = define('TDM_ERR_VAULT_BAD_CURSOR', 'The cursor is not one of an earlier answer of this route. Begin without one.', 400)
export const Unauthenticated = define('TDM_ERR_VAULT_UNAUTHENTICATED', 'Sign in first: the request has no valid session.', 401)
export const TokenMissing = define('TDM_ERR_VAULT_TOKEN_INVALID', 'The request needs the token of a plugin: Authorization: Bearer gv_… (pair the plugin to get one).', 401)
export const TokenRevoked = define('TDM_ERR_VAULT_TOKEN_REVOKED', 'The token is not valid any more: it was revoked, or its member has left the group. Pair the plugin again.', 401)
export const Forbidden = define<[needed: string]>('TDM_ERR_VAULT_FORBIDDEN', 'This needs %s.', 403)
export const Csrf = define('TDM_ERR_VAULT_CSRF', 'A change that is asked for with a session cookie needs the header x-csrf-token (GET /api/v1/auth/me has it) and comes from the same origin.', 403)
export const FeatureNotInPlan = define<[feature: string]>('TDM_ERR_VAULT_FEATURE_NOT_IN_PLAN', 'The plan of the group does not include %s.', 403)
export const NotFound = define<[what: string]>('TDM_ERR_VAULT_NOT_FOUND', 'There is no %s, or you may not see it.', 404)
export const TooLarge = define('TDM_ERR_VAULT_TOO_LARGE', 'The body is larger than this route takes.', 413)
export const UnsupportedMedia = define('TDM_ERR_VAULT_UNSUPPORTED_MEDIA', 'The body has a type that this route does not take; send application/json.', 415)
export const IdempotencyMismatch = define('TDM_ERR_VAULT_IDEMPOTENCY_MISMATCH', 'This Idempotency-Key was used for another request. Use a new one.', 422)
export const IdempotencyInProgress = define('TDM_ERR_VAULT_IDEMPOTENCY_IN_PROGRESS', 'A request with this Idempotency-Key is under way. Wait for its answer, or try again in a moment.', 409)
export const RateLimited = define<[seconds: number]>('TDM_ERR_VAULT_RATE_LIMITED', 'Too many requests. Try again in %d s.', 429)
export const DbUnavailable = define('TDM_ERR_VAULT_DB_UNAVAILABLE', 'The database is not available or too busy. Nothing was changed; try again.', 503)
export const Internal = define('TDM_ERR_VAULT_INTERNAL', 'The request could not be answered. The log of the server says why.', 500)
