/**
 * Look-ups of tokens, kept for a few seconds, so that a client that asks often costs one statement in that time.
 *
 * What is kept true: what was revoked is refused within five seconds; so many are kept at most; those that ask for the same at the same time wait for one look-up.
 * A token that was not found is kept as well. A look-up is nobody's: it runs outside of the request's transaction, and goes on if its client leaves.
 */
import { createHash } from 'node:crypto'
import { Cache } from '../../plugins/db/cache.ts'
import { runOutside } from '../../plugins/db/scope.ts'
import type { Database, Log } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { findToken, hasTokens, noteUse, type ApiToken } from './tokens.ts'

/** In whole seconds, so what was found is at most five seconds old. */
const KEPT_SECONDS = 4
const SIZE = 1000
const DEADLINE_MS = 5000

interface Kept<T> { readonly at: number, readonly value: Promise<T> }

export interface TokenCacheOptions {
  readonly db: Database
  readonly log: Pick<Log, 'warn'>
  /** Unix seconds. */
  readonly now: () => number
}

export class TokenCache {
  readonly #db: Database
  readonly #log: Pick<Log, 'warn'>
  readonly #now: () => number
  readonly #tokens = new Cache<string, Kept<ApiToken | undefined>>(SIZE)
  #some: Kept<boolean> | undefined
  #isWritable = true

  constructor ({ db, log, now }: TokenCacheOptions) {
    this.#db = db
    this.#log = log
    this.#now = now
  }

  /** True if it would be answered from memory. */
  has (token: string): boolean {
    return this.#isFresh(this.#tokens.get(keyOf(token)))
  }

  /** Undefined for one that is not valid. */
  async find (token: string): Promise<ApiToken | undefined> {
    const key = keyOf(token)
    const kept = this.#tokens.get(key)
    if (this.#isFresh(kept)) return await this.#ifValid(kept)
    const looked = { at: this.#now(), value: this.#ask(async () => await findToken(this.#db, token, this.#now())) }
    this.#tokens.set(key, looked)
    const found = await looked.value.catch((error: unknown) => {
      this.#tokens.set(key, { ...looked, at: -Infinity })
      throw error
    })
    if (found !== undefined) this.#noteUse(found)
    return found
  }

  /** Is there any token? */
  async hasSome (): Promise<boolean> {
    if (!this.#isFresh(this.#some)) {
      this.#some = { at: this.#now(), value: this.#ask(async () => await hasTokens(this.#db)) }
      this.#some.value.catch(() => { this.#some = undefined })
    }
    return await this.#some.value
  }

  #isFresh<T> (kept: Kept<T> | undefined): kept is Kept<T> {
    return kept !== undefined && Math.abs(this.#now() - kept.at) < KEPT_SECONDS
  }

  async #ifValid ({ value }: Kept<ApiToken | undefined>): Promise<ApiToken | undefined> {
    const found = await value
    return found?.expires === undefined || this.#now() < found.expires ? found : undefined
  }

  async #ask<T> (question: () => Promise<T>): Promise<T> {
    return await runOutside(async () => await this.#db.deadline(DEADLINE_MS, question))
  }

  /** Once a day; nobody waits for it. */
  #noteUse ({ id, lastUsed }: ApiToken): void {
    const day = new Date(this.#now() * 1000).toISOString().slice(0, 10)
    if (lastUsed === day || !this.#isWritable) return
    this.#ask(async () => { await noteUse(this.#db, id, day) }).catch((error: unknown) => {
      this.#isWritable = errorKind(error) !== 'readonly'
      if (this.#isWritable) this.#log.warn({ err: error, token: id }, 'jobs: the last use of a token could not be noted')
    })
  }
}

/** Tokens themselves are not kept. */
function keyOf (token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}
