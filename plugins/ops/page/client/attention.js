/**
 * What an operator has to know first: each thing that is not as it should be, in a sentence, the worst first.
 *
 * The limits are deliberately few and plain. 'bad' is what somebody is hurt by now, 'warn' is what will hurt soon.
 */
import { formatAge, formatBytes, formatMs, plural } from './format.js'

/** @import { Sample, Snapshot } from '../snapshot.ts' */
/** @typedef {{ level: 'bad' | 'warn', text: string, advice: string, href: string }} Finding */

export const LONG_MS = 2000
export const VERY_LONG_MS = 10_000
const IDLE_MS = 5000
const LOOP_MS = 200
const LOOP_BAD_MS = 1000
/** Seconds that a look back takes in. */
const RECENT = 10

/** @param {Snapshot} snapshot @param {readonly Sample[]} samples the oldest first @returns {Finding[]} */
export function findAttention (snapshot, samples) {
  const recent = samples.slice(-RECENT)
  const found = [
    ...longStatements(snapshot), ...idleTransactions(snapshot), ...queues(snapshot, recent), ...memory(snapshot, recent), ...loop(recent), ...failures(recent), ...replica(snapshot), ...watchdog(snapshot)
  ]
  return found.sort((a, b) => Number(a.level === 'warn') - Number(b.level === 'warn'))
}

/** @param {Snapshot} snapshot @returns {Finding[]} */
function longStatements ({ statements }) {
  const running = statements.filter(({ ageMs, place }) => ageMs >= LONG_MS && place !== 'queue')
  const [oldest] = running
  if (oldest === undefined) return []
  const whose = oldest.route === undefined ? '' : `, for ${oldest.method ?? ''} ${oldest.route}`
  const others = running.length === 1 ? '' : ` ${plural(running.length - 1, 'other has', 'others have')} run for more than ${LONG_MS / 1000}\u202Fs.`
  const text = `A statement has been running for ${formatAge(oldest.ageMs)}${whose}.${others}`
  return [{ level: oldest.ageMs >= VERY_LONG_MS ? 'bad' : 'warn', text, advice: 'Read it below. If nobody needs it, stop it.', href: '#running' }]
}

/** @param {Snapshot} snapshot @returns {Finding[]} */
function idleTransactions ({ transactions }) {
  const idle = transactions.filter(({ idleMs }) => idleMs !== null && idleMs >= IDLE_MS)
  const [worst] = [...idle].sort((a, b) => (b.idleMs ?? 0) - (a.idleMs ?? 0))
  if (worst === undefined) return []
  const whose = worst.route === undefined ? '' : ` (${worst.method ?? ''} ${worst.route})`
  return [{ level: 'warn', text: `${plural(idle.length, 'transaction holds', 'transactions hold')} a connection and ${idle.length === 1 ? 'does' : 'do'} nothing, for up to ${formatAge(worst.idleMs ?? 0)}${whose}.`, advice: 'Its code waits for something else: a network call, or a client.', href: '#transactions' }]
}

/** @param {Snapshot} snapshot @param {readonly Sample[]} recent @returns {Finding[]} */
function queues ({ queues }, recent) {
  // one look may fall into a burst; waiting all the time is what matters
  const isLasting = recent.length >= 3 && recent.slice(-3).every(({ waiting }) => waiting > 0)
  const waiting = Object.entries(queues).filter(([, { waiting }]) => waiting > 0)
  if (!isLasting || waiting.length === 0) return []
  const list = waiting.map(([name, { waiting }]) => `${waiting} for ${name}`).join(', ')
  return [{ level: 'bad', text: `Statements wait for a place: ${list}.`, advice: 'Something holds the places. Look at what has been running longest.', href: '#running' }]
}

/** @param {Snapshot} snapshot @param {readonly Sample[]} recent @returns {Finding[]} */
function memory ({ limits: { softBytes, hardBytes } }, recent) {
  const bytes = recent.at(-1)?.memory ?? null
  if (bytes === null || softBytes === null || hardBytes === null) return []
  if (bytes >= hardBytes * 0.9) return [{ level: 'bad', text: `Memory is at ${formatBytes(bytes)} of at most ${formatBytes(hardBytes)}.`, advice: 'Beyond the hard limit the most expensive statement is ended.', href: '#charts' }]
  if (bytes >= softBytes) return [{ level: 'warn', text: `Memory is at ${formatBytes(bytes)}, beyond the soft limit of ${formatBytes(softBytes)}.`, advice: 'Caches are being given back. See the memory advice below.', href: '#advice' }]
  return []
}

/** @param {readonly Sample[]} recent @returns {Finding[]} */
function loop (recent) {
  const worst = Math.max(0, ...recent.map(({ loop }) => loop?.max ?? 0))
  if (worst < LOOP_MS) return []
  return [{ level: worst >= LOOP_BAD_MS ? 'bad' : 'warn', text: `The event loop was held up for ${formatMs(worst)} within the last ${RECENT} seconds.`, advice: 'Every request waited that long. Look for statements that run inline and for heavy JavaScript.', href: '#charts' }]
}

/** @param {readonly Sample[]} recent @returns {Finding[]} */
function failures (recent) {
  const failed = recent.reduce((sum, { failures }) => sum + failures, 0)
  if (failed === 0) return []
  return [{ level: 'warn', text: `${plural(failed, 'statement')} failed within the last ${RECENT} seconds.`, advice: 'The kinds are under “Parts”; the log has each of them.', href: '#parts' }]
}

/** @param {Snapshot} snapshot @returns {Finding[]} */
function replica ({ replica }) {
  if (replica === null || replica.state === 'ready') return []
  const text = replica.state === 'down' ? 'The read replica cannot be reached.' : `The read replica is ${formatMs(replica.lagMs)} behind.`
  return [{ level: 'warn', text, advice: 'Reads go to the primary meanwhile.', href: '#parts' }]
}

/** @param {Snapshot} snapshot @returns {Finding[]} */
function watchdog ({ sqlite }) {
  if (sqlite === null || sqlite.watchdog === 'on') return []
  return [{ level: 'warn', text: `The SQLite watchdog is not on: ${sqlite.watchdog}.`, advice: 'A statement can be stopped only by ending its thread.', href: '#parts' }]
}
