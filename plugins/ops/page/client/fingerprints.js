/** What takes the time: the statements since the start, each with its figures, where it runs and why, and its plan if the slow log has it. */
import { byId, el, find, setText, syncList } from './dom.js'
import { formatCount, formatMs } from './format.js'

/** @import { FingerprintView, Snapshot } from '../snapshot.ts' */
/** @typedef {{ fingerprint: string, plan: string, hints: string, problem: string, route: string }} SlowEntry */
/** @typedef {{ key: string, label: string, value: (view: FingerprintView) => number, format: (value: number) => string }} Column */

/** @type {readonly Column[]} */
const COLUMNS = [
  { key: 'total', label: 'Total time', value: ({ totalMs }) => totalMs, format: formatMs },
  { key: 'count', label: 'Runs', value: ({ count }) => count, format: formatCount },
  { key: 'mean', label: 'Mean', value: ({ meanMs }) => meanMs, format: formatMs },
  { key: 'p99', label: 'p99', value: ({ p99Ms }) => p99Ms, format: formatMs },
  { key: 'max', label: 'Longest', value: ({ maxMs }) => maxMs, format: formatMs },
  { key: 'failures', label: 'Failed', value: ({ failures }) => failures, format: formatCount }
]

/** @type {Record<string, string>} */
export const PLACE_NAMES = { inline: 'inline', lane: 'lane', apart: 'apart' }

const SHOWN = 15

/** @type {{ sort: Column | undefined, all: boolean, slow: ReadonlyMap<string, SlowEntry>, last: Snapshot | undefined }} */
const state = { sort: COLUMNS[0], all: false, slow: new Map(), last: undefined }

export function prepareFingerprints () {
  const head = byId('statements-head')
  for (const column of COLUMNS) {
    const button = el('button', 'sort', column.label)
    button.type = 'button'
    button.setAttribute('aria-pressed', String(column === state.sort))
    button.addEventListener('click', () => {
      state.sort = column
      for (const other of head.querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button))
      redraw()
    })
    head.append(button)
  }
  byId('statements-more').addEventListener('click', () => {
    state.all = !state.all
    redraw()
  })
}

/** @param {ReadonlyMap<string, SlowEntry>} slow by fingerprint */
export function noteSlow (slow) {
  state.slow = slow
  redraw()
}

/** @param {Snapshot} snapshot */
export function showFingerprints (snapshot) {
  state.last = snapshot
  redraw()
}

function redraw () {
  const { last, sort, all } = state
  if (last === undefined || sort === undefined) return
  const sorted = last.fingerprints.filter(({ count, failures }) => count + failures > 0).sort((a, b) => sort.value(b) - sort.value(a))
  const longest = Math.max(...sorted.map(({ totalMs }) => totalMs), 1e-9)
  byId('statements-empty').hidden = sorted.length > 0
  byId('statements-head').hidden = sorted.length === 0
  const more = byId('statements-more')
  more.hidden = sorted.length <= SHOWN
  setText(more, all ? `Show ${SHOWN} only` : `Show all ${sorted.length}`)
  setText(byId('statements-known'), last.known > sorted.length ? `the ${sorted.length} with the most time of ${formatCount(last.known)}` : '')
  syncList(byId('statements-list'), all ? sorted : sorted.slice(0, SHOWN), ({ sql }) => sql, create, (element, view) => { update(element, view, longest) })
}

/** @param {FingerprintView} view @returns {HTMLElement} */
function create ({ sql }) {
  const cells = COLUMNS.map(({ key, label }) => el('span', `cell of-${key}`, el('span', 'cell-label', `${label} `), el('b', '')))
  const summary = el('summary', '', el('span', 'cell sql-cell', el('i', 'share'), el('code', 'sql', sql)), el('span', 'cell where', el('span', 'tag')), ...cells)
  const facts = el('dl', 'facts', el('dt', '', 'Runs'), el('dd', 'fact-where'), el('dt', '', 'Fingerprint'), el('dd', 'fact-fingerprint'), el('dt', '', 'Plan'), el('dd', 'fact-plan'), el('dt', 'fact-hints-term', 'Hints'), el('dd', 'fact-hints'))
  return el('details', 'statement', summary, el('pre', 'sql-full', sql), facts)
}

/** @param {HTMLElement} element @param {FingerprintView} view @param {number} longest */
function update (element, view, longest) {
  for (const { key, value, format } of COLUMNS) setText(find(element, `.of-${key} b`), format(value(view)))
  find(element, '.of-failures').dataset['level'] = view.failures > 0 ? 'bad' : ''
  find(element, '.share').style.width = `${Math.max(1, 100 * view.totalMs / longest)}%`
  const tag = find(element, '.tag')
  setText(tag, PLACE_NAMES[view.runs] ?? view.runs)
  tag.dataset['place'] = view.runs
  setText(find(element, '.fact-where'), `${PLACE_NAMES[view.runs] ?? view.runs}: ${view.why}${view.overruns > 0 ? `; ${formatCount(view.overruns)} times longer than it may` : ''}`)
  setText(find(element, '.fact-fingerprint'), view.fingerprint)
  const slow = state.slow.get(view.fingerprint)
  setText(find(element, '.fact-plan'), describePlan(slow))
  setText(find(element, '.fact-hints'), slow?.hints ?? '')
  find(element, '.fact-hints-term').hidden = find(element, '.fact-hints').hidden = (slow?.hints ?? '') === ''
}

/** @param {SlowEntry | undefined} slow */
function describePlan (slow) {
  if (slow === undefined) return 'None yet: the slow log makes one when a run takes long enough.'
  return slow.plan !== '' ? slow.plan : slow.problem !== '' ? `None: ${slow.problem}` : 'Not made yet.'
}
