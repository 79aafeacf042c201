/**
 * Forgets what has had its time: events beyond the days of a plan, deliveries that are over, sessions, pairings and idempotency keys that have expired.
 *
 * What is kept true: never on the way of a request; a few hundred rows at a time, so that nobody waits for it; one process at a time and once in an interval, by a row of
 * app_meta that says until when it is taken. The newest event of a group stays, since it knows the number of the next.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database, Log } from '../../plugins/db/types.ts'
import { errorKind } from '../../plugins/errors.ts'
import { planIds, plans } from '../billing/plans.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

const DAY_MS = 86_400_000
const INTERVAL_MS = 10 * 60_000
const FIRST_MS = 30_000
const BATCH = 200
/** The rest waits for the next interval. */
const MOST_BATCHES = 500
const DELIVERY_DAYS = 30

interface Broom {
  readonly what: string
  /** Some keys of what is older than the one parameter: read apart, so that a long search keeps no writer waiting. */
  readonly find: string
  /** One of them, if it still is. Parameters: its key, and the time. */
  readonly remove: string
  readonly before: number
}

function brooms (now: number): Broom[] {
  const daysAgo = (days: number): number => now - days * DAY_MS
  return [
    ...planIds.map(plan => ({ what: `events (${plan})`, ...oldEvents(plan), before: daysAgo(plans[plan].limits.historyDays) })),
    ...['delivered', 'dead', 'cancelled'].map(status => ({ what: `deliveries (${status})`, ...rowsOf('outbox', ['id'], `status = '${status}' AND next_attempt_at < ?`), before: daysAgo(DELIVERY_DAYS) })),
    { what: 'sessions', ...rowsOf('sessions', ['id_hash'], 'expires_at < ?'), before: now },
    { what: 'pairings', ...rowsOf('pairings', ['id'], 'expires_at < ?'), before: daysAgo(1) },
    { what: 'idempotency keys', ...rowsOf('idempotency_keys', ['scope', 'key'], 'expires_at < ?'), before: now }
  ]
}

function rowsOf (table: string, keys: readonly string[], condition: string): Pick<Broom, 'find' | 'remove'> {
  return {
    find: `SELECT ${keys.join(', ')} FROM ${table} WHERE ${condition} LIMIT ${BATCH}`,
    remove: `DELETE FROM ${table} WHERE ${keys.map(key => `${key} = ?`).join(' AND ')} AND ${condition}`
  }
}

function oldEvents (plan: string): Pick<Broom, 'find' | 'remove'> {
  return {
    find: `
      SELECT activity_events.id FROM groups JOIN activity_events ON activity_events.group_id = groups.id
      WHERE groups.plan = '${plan}' AND activity_events.created_at < ?
        AND EXISTS (SELECT 1 FROM activity_events later WHERE later.group_id = groups.id AND later.group_seq > activity_events.group_seq)
      LIMIT ${BATCH}`,
    remove: 'DELETE FROM activity_events WHERE id = ? AND created_at < ?'
  }
}

/** What was forgotten, by kind. Undefined: another process does it, or has done it in this interval. */
export async function keepHouse (db: Db, now: number, { signal }: { signal?: AbortSignal } = {}): Promise<Record<string, number> | undefined> {
  if (!await takeTurn(db, now)) return undefined
  const gone: Record<string, number> = {}
  for (const broom of brooms(now)) {
    const rows = await sweep(db, broom, signal)
    if (rows > 0) gone[broom.what] = rows
  }
  return gone
}

/** The turn lasts for the interval; who dies has it until then. */
async function takeTurn (db: Db, now: number): Promise<boolean> {
  await db.prepare(`INSERT INTO app_meta (key, value) VALUES ('housekeeping_until', '0') ON CONFLICT (key) DO NOTHING`).run()
  const { changes } = await db.prepare(`UPDATE app_meta SET value = ? WHERE key = 'housekeeping_until' AND CAST(value AS BIGINT) <= ?`).run(String(now + INTERVAL_MS), now)
  return changes === 1
}

async function sweep (db: Db, { find, remove, before }: Broom, signal: AbortSignal | undefined): Promise<number> {
  let removed = 0
  for (let i = 0; i < MOST_BATCHES && signal?.aborted !== true; i++) {
    const keys = await db.prepare(find).all(before)
    removed += await db.tx(async () => {
      const results = await Promise.all(keys.map(async key => await db.prepare(remove).run(...Object.values(key), before)))
      return results.reduce((sum, { changes }) => sum + changes, 0)
    })
    if (keys.length < BATCH) break
    await nextTurn()
  }
  return removed
}

/** Looks every ten minutes, and soon after the start (`firstMs`). Answers how to end it. */
export function startHousekeeping (db: Db, { now, log }: { now: () => number, log: Log }, { firstMs = FIRST_MS } = {}): () => Promise<void> {
  const abort = new AbortController()
  let under: Promise<void> = Promise.resolve()
  const look = (): void => { under = under.then(async () => { await lookOnce(db, { now, log, signal: abort.signal }) }) }
  const first = setTimeout(look, firstMs)
  const timer = setInterval(look, INTERVAL_MS)
  for (const each of [first, timer]) each.unref()
  return async () => {
    abort.abort()
    clearTimeout(first)
    clearInterval(timer)
    await under
  }
}

async function lookOnce (db: Db, { now, log, signal }: { now: () => number, log: Log, signal: AbortSignal }): Promise<void> {
  try {
    const gone = await keepHouse(db, now(), { signal })
    if (gone !== undefined && Object.keys(gone).length > 0) log.info({ gone }, 'what has had its time is forgotten')
  } catch (error) {
    if (errorKind(error) !== 'readonly') log.warn({ err: error }, 'the housekeeping failed; it is tried again in ten minutes')
  }
}
