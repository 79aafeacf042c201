/**
 * Who types codes that no plugin shows, and how often. Asked before a code is looked up: who has guessed too much is not told whether the next guess is right.
 * Counted in this process, as the rate limits are.
 */
import { RateLimited } from '../common/errors.ts'

const MOST = 5
const WINDOW_MS = 10 * 60_000

export class WrongCodes {
  readonly #times = new Map<string, number[]>()

  /** Throws `RATE_LIMITED`. */
  check (userId: string, now: number): void {
    const times = (this.#times.get(userId) ?? []).filter(at => at > now - WINDOW_MS)
    const [first = now] = times
    if (times.length >= MOST) throw new RateLimited(Math.ceil((first + WINDOW_MS - now) / 1000))
  }

  note (userId: string, now: number): void {
    for (const [id, times] of this.#times) if ((times.at(-1) ?? 0) <= now - WINDOW_MS) this.#times.delete(id)
    this.#times.set(userId, [...(this.#times.get(userId) ?? []), now].slice(-MOST))
  }
}
