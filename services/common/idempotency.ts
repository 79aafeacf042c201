/**
 * Requests that a client may send twice without having done twice what they ask for: by the header Idempotency-Key. Store: no Fastify.
 *
 * A key is claimed, the work is done, and its answer is kept; for 24 hours whoever comes with the same key and the same request gets that answer. The key belongs to a scope: who
 * asks, and for what.
 *
 *      claim ──(COMMIT)──▶ started ── work + answer ──(COMMIT)──▶ done ── 24 h ──▶ free
 *                             │ work failed, or 60 s
 *                             └──────────▶ free
 *
 * Which transaction, and why:
 *  1. The claim is committed on its own, before the work begins. In the transaction of the work nobody else would see it until that ends: on PostgreSQL the second request would wait
 *     for the first inside of its INSERT, on SQLite for the writer, and neither could be told that the first is under way.
 *  2. The work and its answer are one transaction: an answer is kept if and only if the work is committed. It is not the request's own, so that it has ended, one way or the other,
 *     before the claim is given back. Therefore a route calls this before any other statement: on SQLite the request would hold the writer that the claim waits for.
 *  3. What fails is not kept: the claim is given back, apart from the limits of the request, since that may be over because its client has left. If even that fails, or the process is
 *     gone, the claim can be taken over 60 seconds later.
 *  4. Who was taken over and is still at work cannot commit: the answer is kept under the very claim that was made, `created_at` tells, or the transaction fails.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Database } from '../../plugins/db/types.ts'
import { claimKey, completeKey, getAnswer, releaseKey } from './idempotency-keys.ts'
import { sha256 } from './secrets.ts'

type Db = Pick<Database, 'prepare' | 'tx' | 'outsideTx'>

export interface IdempotentRequest {
  /** Who asks, and for what: `usr_… POST /groups`. */
  readonly scope: string
  /** Undefined: the client sent none, and the work is just done. */
  readonly key: string | undefined
  /** Whatever makes it this request and no other: path and body. */
  readonly request: unknown
}

export interface KeptAnswer<B> { readonly status: number, readonly body: B }

export interface IdempotentOptions {
  /**
   * False for work that asks somebody else, since nothing may wait for an answer in a transaction: it does its own, and has to be such that to do it again does no harm if the
   * process dies before the answer is kept. Default: true.
   */
  readonly inTx?: boolean
}

/**
 * Does the work once for a key. Only the answer of work that succeeds is kept.
 * Throws `IDEMPOTENCY_MISMATCH` for the key of another request, `IDEMPOTENCY_IN_PROGRESS` while the first is under way, and what the work throws.
 */
export async function withIdempotency<B> (db: Db, asked: IdempotentRequest, now: number, work: () => Promise<KeptAnswer<B>>, { inTx = true }: IdempotentOptions = {}): Promise<KeptAnswer<B> & { readonly isRepeated: boolean }> {
  return await db.outsideTx(async () => {
    const run = async <T>(fn: () => Promise<T>): Promise<T> => inTx ? await db.tx(fn, { retry: 3 }) : await fn()
    const { scope, key } = asked
    if (key === undefined) return { ...await run(work), isRepeated: false }
    const claim = { scope, key, requestHash: sha256(JSON.stringify(asked.request)) }
    if (!await claimKey(db, claim, now)) {
      const { status, response } = await getAnswer(db, claim)
      return { status, body: JSON.parse(response) as B, isRepeated: true }
    }
    try {
      const answer = await run(async () => {
        const done = await work()
        await completeKey(db, claim, now, { status: done.status, response: JSON.stringify(done.body) })
        return done
      })
      return { ...answer, isRepeated: false }
    } catch (error) {
      await apart(async () => { await releaseKey(db, claim, now) }).catch(() => {}) // it is free in 60 s; what has failed is told
      throw error
    }
  })
}

/** Runs what has nothing to do with the request that it is called in. */
const apart = AsyncLocalStorage.snapshot()
