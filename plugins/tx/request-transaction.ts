/**
 * The transaction of one request: from the first statement to the last onSend.
 *
 * Kept true:
 *  1. It ends once. Whoever comes second (onSend runs again after a throw; a time-out while COMMIT is under way) waits for the first and keeps its outcome.
 *  2. The first byte of a reply below 400 leaves after COMMIT, or the reply is an error. Anything else leaves nothing behind.
 *  3. Code of this request that runs later, or in an earlier attempt, finds a transaction that has ended, and is refused.
 *  4. Its outcome is told once, when it is final; of a request that never asked the database, when the socket is done with it.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Account, linkTransaction, type TransactionLink } from '../db/database.ts'
import type { Tx } from '../db/transaction.ts'
import { publishTx } from '../db/events.ts'
import { runInScope, type Link, type Scope } from '../db/scope.ts'
import { databaseError, TxClosed } from '../errors.ts'
import { clientLeft, type Client } from './client.ts'
import { checkReply, discard, headOf, isStreamed, restoreHead, spanning, statusOf, wasCancelled, type StreamPayload } from './reply.ts'
import type { RouteSettings } from './route.ts'

/** `request.tx`. */
export interface RequestTx {
  /** 'none': no statement has been sent. */
  readonly state: 'none' | 'open' | 'closing' | 'committed' | 'rolledback' | 'unknown'
  readonly mode: 'write' | 'read'
  /** 1; with `retry` 2, 3, … */
  readonly attempt: number
  /** Aborted when the client goes away before the reply is complete. */
  readonly signal: AbortSignal
  /** COMMIT now; needed before `reply.hijack()`. Statements that follow are refused. Throws what COMMIT throws. */
  commit: () => Promise<void>
  /** ROLLBACK now. Statements that follow are refused; the reply is sent as it is. */
  rollback: () => Promise<void>
  /** Commit also if the reply has a status that rolls back, or the handler throws: a failed login that has to be counted. */
  commitAnyway: () => void
  /** After COMMIT, before the reply is sent; awaited. An error in it is logged. */
  afterCommit: (fn: () => unknown) => void
  /** After ROLLBACK, before the reply is sent; awaited. An error in it is logged. */
  afterRollback: (fn: (error: unknown) => unknown) => void
  /** After the reply was sent, unless the transaction was rolled back. Not awaited by anybody; an error in it is logged. */
  afterResponse: (fn: () => unknown) => void
}

/** The scope of one attempt: later ones have a transaction of their own. */
class AttemptScope implements Scope {
  readonly deadline = Infinity
  readonly request: FastifyRequest
  readonly link: Link
  readonly #client: Client

  constructor (request: FastifyRequest, client: Client, link: Link) {
    this.request = request
    this.#client = client
    this.link = link
  }

  get signal (): AbortSignal {
    return this.#client.signal
  }
}

export class RequestTransaction implements RequestTx {
  readonly mode: 'write' | 'read'
  attempt = 1
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #settings: RouteSettings
  readonly #isOfRoute: boolean
  readonly #account = new Account()
  #link: TransactionLink
  readonly #client: Client
  #failure: { readonly error: unknown } | undefined
  /** The limits that ended it while the handler went on. */
  #expired: Error | undefined
  #isCommittedAnyway = false
  #finishing: Promise<void> | undefined
  #onFinished: (() => void) | undefined
  #isPublished = false
  /** Since the last onSend has come by. */
  #settling: Promise<unknown> | undefined
  #isAnswered = false
  #isFinished = false
  #isOrphan = false
  /** Breaks off the stream that the transaction spans. */
  #breakOff: ((error: Error) => void) | undefined
  #afterResponse: Array<() => unknown> = []

  /** `isOfRoute`: false for a request that found no route. */
  constructor (request: FastifyRequest, reply: FastifyReply, client: Client, settings: RouteSettings, isOfRoute: boolean) {
    this.#client = client
    this.#isOfRoute = isOfRoute
    this.#request = request
    this.#reply = reply
    this.#settings = settings
    this.mode = settings.mode
    this.#link = this.#newLink()
    reply.raw.once('finish', () => { this.#isFinished = true })
    reply.raw.once('close', () => { void this.close() })
  }

  // --- the scope -------------------------------------------------------------------------------------------------------------

  get signal (): AbortSignal {
    return this.#client.signal
  }

  /** Of this attempt. */
  get link (): Link {
    return this.#link
  }

  /** Runs `fn` in the scope of this attempt. */
  run<T> (fn: () => T): T {
    return runInScope(new AttemptScope(this.#request, this.#client, this.#link), fn)
  }

  #newLink (): TransactionLink {
    return linkTransaction(this.#request.server.db, this.#settings.options, open => this.run(() => {
      const tx = this.#account.follow(open())
      tx.guard(error => { this.#expire(tx, error) })
      return tx
    }))
  }

  #expire (tx: Tx, error: Error): void {
    this.#expired = error
    this.#finish(async () => { await tx.rollback(error) }).catch(noop)
    this.#breakOff?.(error)
  }

  // --- what the app calls ------------------------------------------------------------------------------------------------------

  get state (): RequestTx['state'] {
    const tx = this.#link.opened
    if (tx === undefined || tx.statements === 0) return 'none'
    return tx.outcome ?? (tx.state === 'open' ? 'open' : 'closing')
  }

  async commit (): Promise<void> {
    if (this.state === 'rolledback') throw new TxClosed('rolled back', 'request.tx.commit()')
    await this.#finish(async () => { await this.#commitOrSeal() })
  }

  async #commitOrSeal (): Promise<void> {
    const { opened } = this.#link
    if (opened === undefined) this.seal()
    else await opened.commit()
  }

  async rollback (): Promise<void> {
    await this.#finish(async () => {
      const { opened } = this.#link
      if (opened === undefined) this.seal()
      else await opened.rollback(new Error('request.tx.rollback() was called'))
    })
  }

  commitAnyway (): void {
    this.#isCommittedAnyway = true
  }

  afterCommit (fn: () => unknown): void {
    this.#link.transaction.afterCommit(fn)
  }

  afterRollback (fn: (error: unknown) => unknown): void {
    this.#link.transaction.afterRollback(fn)
  }

  afterResponse (fn: () => unknown): void {
    this.#afterResponse.push(fn)
  }

  // --- what the hooks call -------------------------------------------------------------------------------------------------------

  /** False as long as nothing has been asked of the database: then there is nothing to end. */
  get isUsed (): boolean {
    return this.#link.opened !== undefined
  }

  /** Nothing was asked of the database, and now it is too late: a statement that still comes is refused. */
  seal (): void {
    this.#link.seal()
    if (this.#isOrphan) this.#publish()
  }

  /** True if the end of this reply has to wait for the transaction, although nothing has been asked yet: the stream may ask. */
  spans (payload: unknown): boolean {
    return this.#settings.stream === 'span' && isStreamed(payload)
  }

  /** The reply is on its way, or was. */
  get isAnswered (): boolean {
    return this.#isAnswered || this.#reply.sent
  }

  /** `reply.send()` was called. */
  answer (): void {
    this.#isAnswered = true
  }

  fail (error: unknown): void {
    this.#failure ??= { error }
  }

  /** A handler for "not found" answers now; if there was a route, that has called it. */
  leaveRoute (): void {
    if (this.#isOfRoute) this.fail(new Error('reply.callNotFound() was called'))
  }

  /**
   * The last onSend: ends the transaction as the reply says, and answers with the payload to send. A reply that comes second is answered when the first has gone on,
   * and so finds it sent; or finds that it failed, and is the error's.
   */
  settle (payload: unknown): Promise<unknown> {
    if (this.#settling !== undefined) return this.#settling.then(() => payload, () => payload)
    this.#settling = this.#settleFirst(payload)
    return this.#settling
  }

  async #settleFirst (payload: unknown): Promise<unknown> {
    if (this.#finishing !== undefined) return await this.#keepOutcome(payload)
    const reason = this.#reasonToRollBack(payload)
    if (reason !== undefined) {
      await this.#finish(async () => { await this.#link.opened?.rollback(reason.error) })
      return payload
    }
    return await this.#commitReply(payload)
  }

  /** It has ended before the reply. A reply that says otherwise is not sent. */
  async #keepOutcome (payload: unknown): Promise<unknown> {
    try {
      await this.#finishing
    } catch (error) {
      if (this.#failure === undefined) throw error // of request.tx.commit(), and the handler has kept it to itself
    }
    if (this.#expired !== undefined && this.#reply.statusCode < 400) throw this.#expired
    return payload
  }

  /** A handler with `retry` has returned: COMMIT now, while it can still be run again. */
  async settleAttempt (): Promise<void> {
    if (this.#finishing === undefined && this.#reasonToRollBack(undefined) === undefined) await this.#finish(async () => { await this.#link.opened?.commit() })
  }

  /** Undoes this attempt, and begins another one. What is left of the first runs against a transaction that has ended. */
  async restart (): Promise<void> {
    const { opened } = this.#link
    if (opened?.state === 'open') await opened.rollback(new Error('another attempt begins'))
    this.#finishing = undefined
    this.#failure = undefined
    this.#isCommittedAnyway = false
    this.#afterResponse = []
    this.#link = this.#newLink()
    this.attempt++
  }

  /** The socket is done with this request, one way or the other. */
  async close (): Promise<void> {
    const isComplete = this.#isFinished && !wasCancelled(this.#reply)
    const { onAbort } = this.#settings
    if (!isComplete && onAbort === 'rollback') this.#client.leave()
    if (!isComplete && onAbort === 'commit' && this.#settling === undefined) {
      this.#isOrphan = true // the handler goes on; what it does is committed, and told, when it has returned
      return
    }
    const { opened } = this.#link
    if (opened?.state === 'open' && (isComplete || onAbort === 'rollback')) await this.#abandon(isComplete)
    await this.#finishing?.catch(noop)
    if (opened !== undefined && opened.state !== 'closed') await new Promise<void>(resolve => { this.#onFinished = resolve })
    this.#publish()
    if (isComplete || this.state === 'committed') this.#runAfterResponse()
  }

  #publish (): void {
    if (this.#isPublished) return
    this.#isPublished = true
    publishTx(() => this.#account.describe({ route: this.#request.routeOptions.url, method: this.#request.method, mode: this.mode }))
  }

  /** The reply was sent, or will not be. */
  #runAfterResponse (): void {
    const callbacks = this.#afterResponse
    this.#afterResponse = []
    if (this.state === 'rolledback' || this.state === 'unknown') return
    for (const fn of callbacks) void this.#runLogged(fn)
  }

  async #runLogged (fn: () => unknown): Promise<void> {
    try {
      await fn()
    } catch (error) {
      this.#request.log.error({ err: error }, 'a callback after the response failed')
    }
  }

  // --- the end -------------------------------------------------------------------------------------------------------------------

  #finish (end: () => Promise<void>): Promise<void> {
    return this.#finishing ??= end().finally(() => {
      this.#onFinished?.()
      if (this.#settings.retry === 0) this.#publish() // otherwise another attempt may follow
    })
  }

  async #commitReply (payload: unknown): Promise<unknown> {
    try {
      const head = headOf(this.#reply)
      checkReply(this.#reply, head, payload)
      if (this.#settings.stream === 'span' && isStreamed(payload)) return this.#span(payload)
      await this.commit()
      if (this.#failure !== undefined || this.#reply.statusCode !== head.statusCode) restoreHead(this.#reply, head) // a time-out has answered while COMMIT was on its way
      return payload
    } catch (error) {
      discard(payload)
      await this.#finish(async () => { await this.#link.opened?.rollback(error) })
      throw error
    }
  }

  #span (payload: StreamPayload): StreamPayload {
    const { stream, breakOff } = spanning(this.#reply, payload, async () => { await this.commit() }, error => {
      this.#finish(async () => { await this.#link.opened?.rollback(error) }).catch(noop)
    })
    this.#breakOff = breakOff
    return stream
  }

  /** Undefined: it can be committed. */
  #reasonToRollBack (payload: unknown): { readonly error: unknown } | undefined {
    if (this.#client.hasLeft && this.#settings.onAbort === 'rollback') return { error: clientLeft() }
    if (this.#isCommittedAnyway) return undefined
    if (this.#failure !== undefined) return this.#failure
    const statusCode = statusOf(this.#reply, payload)
    return this.#settings.rollbackOn(statusCode) ? { error: new Error(`the reply has status ${statusCode}`) } : undefined
  }

  /** Nobody ended it: the client left, or the reply went past Fastify (hijack, reply.raw). */
  async #abandon (wasAnswered: boolean): Promise<void> {
    const error = wasAnswered ? new Error('the reply was sent without Fastify') : databaseError('aborted', 'the transaction of the request', { cause: clientLeft() })
    if (wasAnswered && this.state === 'open') {
      this.#request.log.warn({ route: this.#request.routeOptions.url }, 'rolled back: the reply was sent past Fastify (hijack or reply.raw) without await request.tx.commit()')
    }
    await this.#finish(async () => { await this.#link.opened?.rollback(error) })
  }
}

const noop = (): void => {}
