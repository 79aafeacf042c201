/** Which charts there are. */
import { Chart } from './chart.js'
import { formatBytes, formatCount, formatMs, formatRate } from './format.js'

/** @import { Latency, Place, Sample, Snapshot } from '../snapshot.ts' */
/** @import { Limit, Series } from './chart.js' */

/** @param {HTMLElement} grid @param {Snapshot['engine']} engine @returns {(snapshot: Snapshot, samples: readonly Sample[]) => void} */
export function makeCharts (grid, engine) {
  const isSqlite = engine === 'sqlite'
  /** @type {Place[]} */
  const places = isSqlite ? ['inline', 'apart'] : ['lane', 'apart']
  const latency = new Chart({ title: 'Latency', note: 'Half took at most p50, all but one in a hundred at most p99. The scale is logarithmic.', series: places.flatMap(latencyOf), format: formatMs, isLog: true, floor: 1 })
  const rate = new Chart({
    title: 'Statements per second',
    note: 'Those that came to their end, and those that failed.',
    series: [{ name: 'ended', className: 'c1', value: endedPerSecond }, { name: 'failed', className: 'c-bad', value: ({ failures, spanMs }) => failures / spanMs * 1000 }],
    format: formatRate,
    floor: 10
  })
  const loop = new Chart({
    title: 'Event loop delay',
    note: 'How late JavaScript got its turn. Everything in this process waits that long.',
    series: [{ name: 'longest', className: 'c1', value: ({ loop }) => loop?.max ?? null }, { name: 'p50', className: 'c1', value: ({ loop }) => loop?.p50 ?? null, isMinor: true }],
    format: formatMs,
    floor: 20
  })
  const memory = new Chart({ title: 'Memory', note: isSqlite ? 'Of this process alone, without files that are mapped; with the soft and the hard limit.' : 'Of this process, without the database server.', series: [{ name: 'in use', className: 'c1', value: ({ memory }) => memory }], format: formatBytes, floor: 1e7 })
  const wal = isSqlite
    ? new Chart({ title: 'Write-ahead log', note: 'Grows with writes, is emptied by checkpoints. It cannot be while a reader is at an old state.', series: [{ name: 'size', className: 'c1', value: ({ wal }) => wal }], format: formatBytes, floor: 1e6 })
    : new Chart({ title: 'Waits for a connection', note: 'What statements and transactions waited until they had one.', series: [{ name: 'p99', className: 'c1', value: ({ waits }) => waits?.p99 ?? null }, { name: 'p50', className: 'c1', value: ({ waits }) => waits?.p50 ?? null, isMinor: true }], format: formatMs, isLog: true, floor: 1 })
  const queues = new Chart({ title: isSqlite ? 'Places' : 'Connections', note: 'Taken, and how many wait for one. Somebody who always waits is a problem.', series: [{ name: 'taken', className: 'c1', value: ({ used }) => used }, { name: 'waiting', className: 'c-bad', value: ({ waiting }) => waiting }], format: formatCount, floor: 4 })
  const charts = [latency, rate, loop, memory, wal, queues]
  grid.replaceChildren(...charts.map(({ element }) => element))
  return (snapshot, samples) => {
    for (const chart of charts) chart.show(samples, snapshot.at, chart === memory ? limitsOf(snapshot) : [])
  }
}

/** @param {Place} place @param {number} i @returns {Series[]} */
function latencyOf (place, i) {
  const className = `c${i + 1}`
  const of = (/** @type {Sample} */ { runs }) => runs[place]
  return [
    { name: `${place} p99`, className, value: sample => of(sample)?.p99 ?? null },
    { name: `${place} p50`, className: `${className} thin`, value: sample => of(sample)?.p50 ?? null, isMinor: true }
  ]
}

/** @param {Sample} sample */
function endedPerSecond ({ runs, spanMs }) {
  const ended = Object.values(runs).reduce((/** @type {number} */ sum, latency) => sum + (latency?.count ?? 0), 0)
  return ended / spanMs * 1000
}

/** @param {Snapshot} snapshot @returns {Limit[]} */
function limitsOf ({ limits: { softBytes, hardBytes } }) {
  return [...(softBytes === null ? [] : [{ name: 'soft limit', className: 'soft', value: softBytes }]), ...(hardBytes === null ? [] : [{ name: 'hard limit', className: 'hard', value: hardBytes }])]
}
