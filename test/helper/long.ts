/** What takes long: statements for tests of limits, and the wait for something that comes about by itself. */
import { setTimeout as pause } from 'node:timers/promises'

/** Never ends by itself, on either engine. */
export const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n'

/** `count` rows, from 1 on. */
export function numbers (count: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n`
}

/** One row; takes as long as counting to `to`. */
export function countTo (to: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${to}) SELECT count(*) AS n FROM n`
}

/** Waits for what nobody tells of. Throws after `withinMs`. */
export async function until (what: string, isSo: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!await isSo()) {
    if (performance.now() > end) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await pause(5)
  }
}

/** Counts the turns of the event loop until it is stopped, and the longest one. */
export function watchLoop (): { stop: () => { turns: number, longestMs: number } } {
  let turns = 0
  let longestMs = 0
  let last = performance.now()
  const turn = (): void => {
    const now = performance.now()
    longestMs = Math.max(longestMs, now - last)
    last = now
    turns++
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  return {
    stop: () => {
      clearImmediate(next)
      return { turns, longestMs: Math.max(longestMs, performance.now() - last) }
    }
  }
}
