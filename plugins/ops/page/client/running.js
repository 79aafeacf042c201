/** What is under way: statements and transactions, the oldest first, each with its way to be stopped. */
import { byId, el, find, setText, syncList } from './dom.js'
import { LONG_MS, VERY_LONG_MS } from './attention.js'
import { formatAge, formatMs, plural } from './format.js'

/** @import { Snapshot, StatementView, TransactionView } from '../snapshot.ts' */
/** @typedef {{ kind: 'statements' | 'transactions', id: string, sql: string, whose: string, ageMs: number }} Target */

/** Younger ones come and go while they are read; they are counted only. */
const SHORT_MS = 250

/** @type {Record<string, string>} */
const PLACES = { reader: 'on a reader thread', writer: 'on the writer thread', lane: 'on a shared connection', connection: 'on a connection of its own', queue: 'waits for a place' }

/** @param {Snapshot} snapshot @param {(target: Target) => void} onStop */
export function showStatements ({ statements, running }, onStop) {
  const old = statements.filter(({ ageMs }) => ageMs >= SHORT_MS)
  const waiting = old.filter(({ place }) => place === 'queue')
  const shown = old.filter(({ place }) => place !== 'queue')
  const short = running - old.length
  setText(byId('running-count'), String(running))
  setText(byId('running-rest'), short === 0 ? '' : `${old.length === 0 ? '' : 'and '}${plural(short, 'statement')} younger than ${formatMs(SHORT_MS)}`)
  byId('running-empty').hidden = running > 0
  showRows('running-list', shown, onStop)
  byId('waiting').hidden = waiting.length === 0
  setText(byId('waiting-text'), waiting.length === 0 ? '' : describeWaiting(waiting))
  showRows('waiting-list', waiting, onStop)
}

/** @param {string} list @param {readonly StatementView[]} statements @param {(target: Target) => void} onStop */
function showRows (list, statements, onStop) {
  syncList(byId(list), statements, ({ id }) => id, statement => createRow('statements', statement, onStop), (element, statement) => {
    const { ageMs, place, deadlineMs } = statement
    const left = deadlineMs === null ? 'has no deadline' : deadlineMs > 0 ? `ends by itself in ${formatAge(deadlineMs)}` : 'is being ended'
    updateRow(element, statement, place === 'queue' ? 'waits' : ageMs >= VERY_LONG_MS ? 'bad' : ageMs >= LONG_MS ? 'warn' : '', [PLACES[place] ?? place, left])
  })
}

/** '12 statements wait for a place, for up to 3.4 s: 9 of GET /a, 3 of POST /b' @param {readonly StatementView[]} waiting */
function describeWaiting (waiting) {
  const owners = Map.groupBy(waiting, describeOwner)
  const most = [...owners].sort(([, a], [, b]) => b.length - a.length).slice(0, 3).map(([owner, { length }]) => `${length} of ${owner}`)
  const longest = Math.max(...waiting.map(({ ageMs }) => ageMs))
  return `${plural(waiting.length, 'statement waits', 'statements wait')} for a place, for up to ${formatAge(longest)}: ${most.join(', ')}${owners.size > 3 ? ', and others' : ''}`
}

/** @param {Snapshot} snapshot @param {(target: Target) => void} onStop */
export function showTransactions ({ transactions }, onStop) {
  // those that run a statement are listed with it
  const all = transactions.filter(({ canStop }) => canStop)
  const idle = all.filter(({ idleMs }) => idleMs !== null)
  const shown = idle.filter(({ ageMs }) => ageMs >= SHORT_MS)
  const rest = [
    ...(all.length === idle.length ? [] : [`${plural(all.length - idle.length, 'transaction runs', 'transactions run')} a statement, see above`]),
    ...(idle.length === shown.length ? [] : [`${plural(idle.length - shown.length, 'transaction')} younger than ${formatMs(SHORT_MS)}`])
  ]
  setText(byId('transactions-count'), String(all.length))
  setText(byId('transactions-rest'), `${shown.length > 0 && rest.length > 0 ? 'and ' : ''}${rest.join(', ')}`)
  byId('transactions-empty').hidden = all.length > 0
  syncList(byId('transactions-list'), shown, ({ id }) => id, transaction => createRow('transactions', transaction, onStop), (element, transaction) => {
    const { idleMs } = transaction
    const level = idleMs !== null && idleMs >= VERY_LONG_MS ? 'bad' : idleMs !== null && idleMs >= LONG_MS ? 'warn' : ''
    updateRow(element, transaction, level, [`idle for ${formatAge(idleMs ?? 0)}, after this statement`])
  })
}

/** @param {Target['kind']} kind @param {StatementView | TransactionView} item @param {(target: Target) => void} onStop @returns {HTMLElement} */
function createRow (kind, item, onStop) {
  const whose = describeOwner(item)
  const stop = el('button', 'stop', 'Stop')
  stop.type = 'button'
  stop.setAttribute('aria-label', `Stop: ${whose}, ${item.sql.slice(0, 80)}`)
  const row = el('li', 'row', el('span', 'age'), el('div', 'what', el('p', 'whose', whose), el('code', 'sql'), el('p', 'meta')), stop)
  stop.addEventListener('click', () => { onStop({ kind, id: item.id, sql: find(row, '.sql').textContent ?? '', whose, ageMs: Number(row.dataset['age']) }) })
  return row
}

/** @param {HTMLElement} row @param {StatementView | TransactionView} item @param {string} level @param {string[]} facts */
function updateRow (row, { sql, ageMs, requestId }, level, facts) {
  row.dataset['level'] = level
  row.dataset['age'] = String(ageMs)
  setText(find(row, '.age'), formatAge(ageMs))
  setText(find(row, '.sql'), sql)
  setText(find(row, '.meta'), [...facts, ...(requestId === undefined ? [] : [`request ${requestId}`])].join(' · '))
}

/** @param {StatementView | TransactionView} item */
function describeOwner ({ method, route }) {
  return route === undefined ? 'outside of a request' : `${method ?? ''} ${route}`.trim()
}
