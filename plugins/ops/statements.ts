/**
 * What is under way, and a way to stop it: `GET /ops/statements`, `DELETE /ops/statements/:id`, and the same for transactions.
 *
 * What is kept true: an id means one statement of one process, forever: it begins with what the process alone has, and is never given again. Values are in no answer; the SQL has
 * its literals redacted.
 */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type {} from '../db/index.ts' // app.db
import type { OpenTransaction, RunningStatement } from '../db/types.ts'
import { OpsEnded, OpsEndsItself, OpsStopped } from '../errors.ts'
import type {} from '../tx/index.ts' // config.tx
import { fingerprintOf, redact } from './fingerprint.ts'

export interface ShownRequest {
  /** As it was declared: `/api/jobs/:id`. */
  readonly route: string | undefined
  readonly method: string | undefined
  readonly requestId: string | undefined
}

export interface ShownStatement extends ShownRequest {
  readonly id: string
  readonly fingerprint: string
  readonly sql: string
  readonly place: RunningStatement['place']
  readonly ageMs: number
  /** What is left of its time; null: it has no limit. */
  readonly deadlineMs: number | null
}

export interface ShownTransaction extends ShownRequest {
  readonly id: string
  /** Of its statement, or the last one. */
  readonly fingerprint: string
  readonly sql: string
  readonly ageMs: number
  /** Since the last statement; null while one runs. */
  readonly idleMs: number | null
  /** False: it is one statement, to be stopped among the statements. */
  readonly canStop: boolean
}

const thisProcess = randomBytes(4).toString('hex')
const ids = new WeakMap<object, string>()
let lastId = 0

/** The same for the same key; never given again. */
function idOf (key: object): string {
  const known = ids.get(key)
  if (known !== undefined) return known
  const id = `${thisProcess}-${++lastId}`
  ids.set(key, id)
  return id
}

/** For whoever may see it; `now` on the clock of `performance.now()`. */
export function showStatement ({ key, sql, place, since, deadline, request }: RunningStatement, now: number): ShownStatement {
  return { id: idOf(key), ...showSql(sql), place, ageMs: round(now - since), deadlineMs: deadline === Infinity ? null : round(deadline - now), ...showRequest(request) }
}

export function showTransaction ({ key, sql, since, idleSince, request, stop }: OpenTransaction, now: number): ShownTransaction {
  return { id: idOf(key), ...showSql(sql), ageMs: round(now - since), idleMs: idleSince === undefined ? null : round(now - idleSince), canStop: stop !== undefined, ...showRequest(request) }
}

export function addStatements (scope: FastifyInstance): void {
  const { db } = scope
  const config = { tx: false } as const
  scope.get('/ops/statements', { config }, async () => {
    const now = performance.now()
    return { statements: db.activity().statements.map(statement => showStatement(statement, now)) }
  })
  scope.get('/ops/transactions', { config }, async () => {
    const now = performance.now()
    return { transactions: db.activity().transactions.map(transaction => showTransaction(transaction, now)) }
  })
  scope.delete<ById>('/ops/statements/:id', { config }, async (request, reply) => {
    const { stop } = find(db.activity().statements, request)
    stop(new OpsStopped())
    request.log.warn({ stopped: request.params.id }, 'an operator has stopped a statement')
    reply.code(204)
  })
  scope.delete<ById>('/ops/transactions/:id', { config }, async (request, reply) => {
    const { stop } = find(db.activity().transactions, request)
    if (stop === undefined) throw new OpsEndsItself(request.params.id)
    stop(new OpsStopped())
    request.log.warn({ stopped: request.params.id }, 'an operator has rolled back a transaction')
    reply.code(204)
  })
}

interface ById { Params: { id: string } }

function find<T extends { readonly key: object }> (all: readonly T[], { params: { id } }: FastifyRequest<ById>): T {
  const found = all.find(({ key }) => ids.get(key) === id)
  if (found === undefined) throw new OpsEnded(id.slice(0, 40))
  return found
}

function showSql (sql: string): { fingerprint: string, sql: string } {
  const redacted = redact(sql)
  return { fingerprint: fingerprintOf(redacted), sql: redacted }
}

/** `request` is whatever the scope of the statement belongs to: a FastifyRequest, or the app's own thing. */
export function showRequest (request: object | undefined): ShownRequest {
  const { routeOptions, method, id } = (request ?? {}) as Partial<FastifyRequest>
  return { route: routeOptions?.url, method, requestId: id }
}

function round (ms: number): number {
  return Math.round(ms)
}
