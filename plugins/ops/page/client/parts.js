/** The parts and their state: places and who waits for them, threads, connections, where statements run, what has failed. */
import { byId, el, find, setText, syncList } from './dom.js'
import { formatBytes, formatCount, formatMs, plural } from './format.js'

/** @import { Snapshot } from '../snapshot.ts' */
/** @typedef {{ name: string, value: string, note: string, level?: 'good' | 'warn' | 'bad' }} Fact */

/** @type {Record<string, string>} */
const QUEUES = { writer: 'The writer', snapshots: 'Read transactions', threads: 'Places in threads', connections: 'Connections' }

/** @param {Snapshot} snapshot */
export function showParts (snapshot) {
  showFacts('parts-list', [...queueFacts(snapshot), ...sqliteFacts(snapshot), ...postgresFacts(snapshot), ...replicaFacts(snapshot), failureFact(snapshot)])
  showFacts('placement-list', placementFacts(snapshot))
  const moved = snapshot.fingerprints.filter(({ runs, overruns }) => runs === 'apart' || overruns > 0)
  byId('placement-empty').hidden = moved.length > 0
  syncList(byId('moved-list'), moved.slice(0, 12), ({ sql }) => sql, ({ sql }) => el('li', 'moved', el('code', 'sql', sql.replace(/^BEGIN; /, 'transactions that begin with ')), el('p', 'meta')), (element, { runs, why, overruns, apart }) => {
    const facts = [`${runs}: ${why}`, apart.runs > 0 ? `${plural(apart.runs, 'run')} apart, ${formatMs(apart.meanMs)} each` : '', overruns > 0 ? `${plural(overruns, 'time')} longer than it may where it delays others` : '']
    setText(find(element, '.meta'), facts.filter(fact => fact !== '').join(' · '))
  })
}

/** @param {string} id @param {Fact[]} facts */
function showFacts (id, facts) {
  syncList(byId(id), facts, ({ name }) => name, ({ name }) => el('div', 'fact', el('dt', '', name), el('dd', 'value'), el('dd', 'note')), (element, { value, note, level = '' }) => {
    element.dataset['level'] = level
    setText(find(element, '.value'), value)
    setText(find(element, '.note'), note)
  })
}

/** @param {Snapshot} snapshot @returns {Fact[]} */
function queueFacts ({ queues }) {
  return Object.entries(queues).map(([name, { used, waiting }]) => ({ name: QUEUES[name] ?? name, value: `${formatCount(used)} taken`, note: waiting === 0 ? 'nobody waits' : `${formatCount(waiting)} waiting`, level: waiting === 0 ? 'good' : 'warn' }))
}

/** @param {Snapshot} snapshot @returns {Fact[]} */
function sqliteFacts ({ sqlite }) {
  if (sqlite === null) return []
  const { threads, idleThreads, stalls, watchdog, walBytes } = sqlite
  return [
    { name: 'Reader threads', value: `${formatCount(threads - idleThreads)} of ${formatCount(threads)} busy`, note: 'started when needed, ended when idle' },
    { name: 'Event loop held up', value: plural(stalls.count, 'time'), note: stalls.count === 0 ? 'by no statement' : `by statements, at most ${formatMs(stalls.longestMs)}`, level: stalls.longestMs >= 100 ? 'warn' : 'good' },
    { name: 'Write-ahead log', value: formatBytes(walBytes), note: 'shrinks at a checkpoint, when no reader needs it' },
    { name: 'Watchdog', value: watchdog === 'on' ? 'on' : 'off', note: watchdog === 'on' ? 'ends statements at their deadline' : watchdog, level: watchdog === 'on' ? 'good' : 'warn' }
  ]
}

/** @param {Snapshot} snapshot @returns {Fact[]} */
function postgresFacts ({ postgres }) {
  if (postgres === null) return []
  const { version, pooler, idle } = postgres
  return [
    { name: 'Idle connections', value: formatCount(idle), note: 'open and not in use' },
    { name: 'Server', value: `PostgreSQL ${Math.floor(version / 10_000)}.${version % 10_000}`, note: pooler === 'none' ? 'no pooler in between' : `through a pooler that ${pooler}` }
  ]
}

/** @param {Snapshot} snapshot @returns {Fact[]} */
function replicaFacts ({ replica }) {
  return replica === null ? [] : [{ name: 'Read replica', value: replica.state, note: `${formatMs(replica.lagMs)} behind at the last look`, level: replica.state === 'ready' ? 'good' : 'warn' }]
}

/** @param {Snapshot} snapshot @returns {Fact} */
function failureFact ({ totals: { failures } }) {
  const kinds = Object.entries(failures).sort(([, a], [, b]) => b - a)
  const sum = kinds.reduce((all, [, count]) => all + count, 0)
  return { name: 'Failed statements', value: formatCount(sum), note: sum === 0 ? 'none since the start' : kinds.map(([kind, count]) => `${kind} ${formatCount(count)}`).join(', ') }
}

/** @param {Snapshot} snapshot @returns {Fact[]} */
function placementFacts ({ totals: { runs }, engine }) {
  const all = runs.inline + runs.lane + runs.apart
  const share = (/** @type {number} */ count) => all === 0 ? 'none yet' : `${(100 * count / all).toFixed(1)} % of all`
  const apart = { name: 'Apart', value: formatCount(runs.apart), note: `${share(runs.apart)} · ${engine === 'sqlite' ? 'on a thread, beside everything else' : 'on connections of their own'}` }
  return engine === 'sqlite'
    ? [{ name: 'Inline', value: formatCount(runs.inline), note: `${share(runs.inline)} · on the main thread, the fastest way for short ones` }, apart]
    : [{ name: 'Lane', value: formatCount(runs.lane), note: `${share(runs.lane)} · pipelined with others, the fastest way for short ones` }, apart]
}
