/** The page: listens to /ops/live and shows each snapshot. Without news for a while it says so, and from when its figures are. */
import { findAttention } from './attention.js'
import { showAdvice } from './advice.js'
import { makeCharts } from './charts.js'
import { byId, el, find, setText, syncList } from './dom.js'
import { noteSlow, prepareFingerprints, showFingerprints } from './fingerprints.js'
import { formatClock, formatMs } from './format.js'
import { showParts } from './parts.js'
import { showStatements, showTransactions } from './running.js'
import { readSlow } from './slow.js'
import { askToStop, prepareStop } from './stop.js'

/** @import { Sample, Snapshot } from '../snapshot.ts' */

const base = location.pathname.replace(/\/+$/, '')
const KEPT_MS = 300_000
const RETRY_MS = 2000
const STALE_MS = 3500
const SIDE_MS = 10_000

/** @type {Sample[]} */
let samples = []
/** @type {Snapshot | undefined} */
let last
/** @type {((snapshot: Snapshot, samples: readonly Sample[]) => void) | undefined} */
let showCharts
let isPaused = false
/** On the clock of the page: when something was heard. */
let heardAt = performance.now()

function listen () {
  const source = new EventSource(`${base}/live`)
  source.addEventListener('message', event => {
    heardAt = performance.now()
    take(/** @type {Snapshot} */ (JSON.parse(/** @type {MessageEvent<string>} */ (event).data)))
  })
  source.addEventListener('error', () => {
    // by itself it comes back only to a server that goes away; not to one that refuses
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { void listenAgain() }, RETRY_MS)
  })
}

async function listenAgain () {
  try {
    const answer = await fetch(location.href, { method: 'HEAD' })
    if (answer.status === 401 || answer.status === 403 || answer.status === 404) location.reload()
  } catch {}
  listen()
}

/** @param {Snapshot} snapshot */
function take (snapshot) {
  const newest = samples.at(-1)?.at ?? -Infinity
  samples = [...samples, ...snapshot.samples.filter(({ at }) => at > newest)].filter(({ at }) => at > snapshot.at - KEPT_MS)
  last = snapshot
  if (!isPaused) show()
}

function show () {
  if (last === undefined) return
  showVerdict(last)
  showStatements(last, askToStop)
  showTransactions(last, askToStop)
  showCharts ??= makeCharts(byId('charts-grid'), last.engine)
  showCharts(last, samples)
  showParts(last)
  showFingerprints(last)
  setText(byId('about'), `${last.engine === 'sqlite' ? 'SQLite' : 'PostgreSQL'} · Node.js ${last.node} · up for ${formatMs(last.uptimeMs)}`)
  document.body.dataset['ready'] = 'true'
  showState()
}

/** @param {Snapshot} snapshot */
function showVerdict (snapshot) {
  const found = findAttention(snapshot, samples)
  const [worst] = found
  const verdict = byId('verdict')
  verdict.dataset['level'] = worst?.level ?? 'good'
  setText(byId('verdict-title'), worst === undefined ? 'All is well' : worst.level === 'bad' ? 'Something is wrong' : 'Worth a look')
  byId('verdict-calm').hidden = worst !== undefined
  syncList(byId('verdict-list'), found, ({ href, text }) => `${href} ${text.replace(/[\d.,]+\D?(?:ms|s|min|h|MB|GB)\b/g, '')}`, ({ href }) => {
    const link = el('a', '')
    link.setAttribute('href', href)
    return el('li', '', link, el('span', 'advice'))
  }, (element, { level, text, advice }) => {
    element.dataset['level'] = level
    setText(find(element, 'a'), text)
    setText(find(element, '.advice'), advice)
  })
  const bad = found.filter(({ level }) => level === 'bad').length
  document.title = bad > 0 ? `(${bad}) Something is wrong · ops` : found.length > 0 ? `Worth a look · ops` : 'All is well · ops'
}

function showState () {
  const isStale = performance.now() - heardAt > STALE_MS
  const state = isStale ? 'lost' : isPaused ? 'paused' : 'live'
  const at = last === undefined ? '' : formatClock(last.at)
  byId('state').dataset['state'] = state
  setText(byId('state-text'), last === undefined ? (isStale ? 'No answer' : 'Connecting') : { lost: `No answer since ${at}`, paused: `Paused at ${at}`, live: `Live ${at}` }[state])
  document.body.dataset['stale'] = String(isStale)
}

function togglePause () {
  isPaused = !isPaused
  const button = byId('pause')
  setText(button, isPaused ? 'Go on' : 'Pause')
  button.setAttribute('aria-pressed', String(isPaused))
  if (isPaused) showState()
  else show()
}

function prepareTheme () {
  const root = document.documentElement
  const isDark = () => (root.dataset['theme'] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark'
  const button = byId('theme')
  const label = () => { setText(button, isDark() ? 'Light' : 'Dark') }
  const kept = localStorage.getItem('ops-theme')
  if (kept !== null) root.dataset['theme'] = kept
  label()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', label)
  button.addEventListener('click', () => {
    root.dataset['theme'] = isDark() ? 'light' : 'dark'
    localStorage.setItem('ops-theme', root.dataset['theme'])
    label()
  })
}

function prepareKeys () {
  document.addEventListener('keydown', event => {
    const isTyping = event.target instanceof HTMLElement && event.target.closest('input, textarea, dialog') !== null
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === 'p') togglePause()
    if (event.key === 's') document.querySelector('#running-list .stop')?.dispatchEvent(new MouseEvent('click'))
  })
}

/** What changes slowly, and may not be there. */
async function readSide () {
  if (isPaused) return
  const [slow, advice] = await Promise.all([readSlow(`${base}/statements/slow`), readJson(`${base}/memory/advice`)])
  noteSlow(slow)
  showAdvice(advice)
}

/** Undefined: there is none. @param {string} url @returns {Promise<unknown>} */
async function readJson (url) {
  try {
    const answer = await fetch(url)
    return answer.ok ? await answer.json() : undefined
  } catch {
    return undefined
  }
}

prepareTheme()
prepareKeys()
prepareStop(base)
prepareFingerprints()
byId('pause').addEventListener('click', togglePause)
setInterval(showState, 1000)
setInterval(() => { void readSide() }, SIDE_MS)
void readSide()
listen()
