/** The errors of the jobs service. As in plugins/errors.ts: a code never changes its meaning, a message names neither a driver's text nor a password. */
import createError from '@fastify/error'

/** A cause, where there is one. */
export interface Because { cause?: unknown }

export const JobsUnauthenticated = createError('TDM_ERR_JOBS_UNAUTHENTICATED', 'Jobs are shown to a known user only, and the request has none.', 401)
export const JobsForbiddenRole = createError<[roles: string]>('TDM_ERR_JOBS_FORBIDDEN_ROLE',
  'Jobs are shown to the roles user, manager, support and admin, or to api alone. The user has %s.', 403)
export const JobsBadToken = createError('TDM_ERR_JOBS_BAD_TOKEN', 'The API token is not valid: it is wrong, was revoked, or has expired.', 401)
export const JobsForbiddenUse = createError<[expected: string, roles: string]>('TDM_ERR_JOBS_FORBIDDEN_USE', 'This is for tokens with the roles %s. This one has %s.', 403)
export const JobsRateLimit = createError<[limit: string, seconds: number]>('TDM_ERR_JOBS_RATE_LIMIT', 'There were more than %s. Try again in %d s.', 429)
export const JobsNotFound = createError<[id: number | bigint]>('TDM_ERR_JOBS_NOT_FOUND', 'There is no job with id %s, or it is not visible to this user.', 404)
export const JobsBadOrderField = createError<[field: string, expected: string]>('TDM_ERR_JOBS_BAD_ORDER_FIELD', 'Jobs cannot be sorted by "%s": expected %s.', 400)
export const JobsBadPage = createError<[expected: string, got: string]>('TDM_ERR_JOBS_BAD_PAGE', 'The page cannot be used: expected %s, got %s.', 400)
export const JobsBadCursor = createError<[problem: string]>('TDM_ERR_JOBS_BAD_CURSOR', 'The cursor cannot be used: %s', 400)
export const JobsBadInput = createError<[where: string, problem: string]>('TDM_ERR_JOBS_BAD_INPUT', '%s %s', 400)

/** Their messages are for the client: they say which limit it was, and nothing of the inside. */
export const JobsTimeLimit = createError<[limit: string, because?: Because]>('TDM_ERR_JOBS_TIME_LIMIT',
  'It took longer than %s, and was stopped. Narrow the filter (a cluster, a user, a shorter start-time), or try again when less is going on.', 503)
export const JobsMemoryLimit = createError<[because?: Because]>('TDM_ERR_JOBS_MEMORY_LIMIT',
  'It needed more memory or temporary disk than a statement may have, and was stopped. Narrow the filter (a cluster, a user, a shorter start-time), or sort by startTime.', 503)
export const JobsBusy = createError<[because?: Because]>('TDM_ERR_JOBS_BUSY', 'The database was busy with others for too long. Try again.', 503)
/** Ends a stream, so that no client sees its text. */
export const JobsStreamIdle = createError<[ms: number]>('TDM_ERR_JOBS_STREAM_IDLE', 'The client has taken nothing of a stream for %d ms, and its connection was closed.', 503)

/** What `npm run token` says about a database that keeps no tokens. */
export const JobsNoTokens = createError<[problem: string]>('TDM_ERR_JOBS_NO_TOKENS', 'The database keeps no API tokens: %s', 400)
/** A cc-backend database that this service cannot read, because of its version. */
export const JobsSchema = createError<[problem: string]>('TDM_ERR_JOBS_SCHEMA', 'The cc-backend database cannot be used: %s', 500)
/** What `importJobs` throws for a source that it cannot read, or a target that it cannot write to. */
export const JobsImport = createError<[path: string, problem: string, because?: Because]>('TDM_ERR_JOBS_IMPORT', '%s cannot be imported: %s', 400)
/** What `generateJobs` throws for a database that it cannot fill. */
export const JobsGenerate = createError<[problem: string]>('TDM_ERR_JOBS_GENERATE', 'No jobs can be generated: %s', 400)
