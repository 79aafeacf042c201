/**
 * News of a group: by events while the page is looked at, else by asking every 15 s. An event says that something is new, never what: the page asks for what happened since
 * the version that it shows, so it does not matter how many events were missed while it was hidden.
 */
import { byId } from '../dom.js'

const POLL_MS = 15_000

/** @typedef {'live' | 'polling' | 'offline' | 'start'} LiveState */

/** @param {LiveState} state @param {string} [text] */
export function showState (state, text) {
  const element = byId('live')
  const words = text ?? { live: 'live', polling: 'every 15 s', offline: 'offline', start: 'connecting' }[state]
  element.dataset.state = state
  const [label] = element.getElementsByTagName('span')
  if (label !== undefined && label.textContent !== words) label.textContent = words
  element.title = { live: 'Changes show up at once', polling: 'The page asks for changes every 15 s', offline: 'The app cannot be reached', start: '' }[state]
}

/**
 * @param {{ url: (() => string) | null, pollMs?: number, onNews: (kind: string, data: Record<string, unknown>) => void }} options `url`: of the events; null: there are none
 */
export function watch ({ url, pollMs = POLL_MS, onNews }) {
  /** @type {EventSource | undefined} */
  let stream
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer

  function poll () {
    showState('polling', pollMs === POLL_MS ? undefined : 'live')
    timer ??= setInterval(() => { onNews('poll', {}) }, pollMs)
  }

  function open () {
    if (document.hidden || stream !== undefined || timer !== undefined) return
    if (url === null) { poll(); return }
    stream = new EventSource(url())
    stream.addEventListener('open', () => { showState('live') })
    // the browser tries again by itself, unless the answer was a refusal
    stream.addEventListener('error', () => {
      if (stream?.readyState !== EventSource.CLOSED) { showState('start', 'reconnecting'); return }
      close()
      poll()
    })
    for (const kind of ['hello', 'vault', 'roster', 'presence', 'activity', 'settings', 'billing', 'catalog', 'resync', 'bye']) {
      stream.addEventListener(kind, event => { onNews(kind, parse(event.data)) })
    }
  }

  function close () {
    stream?.close()
    stream = undefined
    clearInterval(timer)
    timer = undefined
  }

  // the events begin where the page is; without them it has to ask what it has missed
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { close(); return }
    open()
    if (timer !== undefined) onNews('poll', {})
  })
  // a page that is left must not hold a stream, nor when it is kept for the way back
  window.addEventListener('pagehide', close)
  window.addEventListener('pageshow', ({ persisted }) => { if (persisted) open() })
  open()
  return { close }
}

/** @param {unknown} text @returns {Record<string, unknown>} */
function parse (text) {
  try {
    const data = /** @type {unknown} */ (JSON.parse(String(text)))
    return typeof data === 'object' && data !== null ? /** @type {Record<string, unknown>} */ (data) : {}
  } catch {
    return {}
  }
}
