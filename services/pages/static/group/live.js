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

/** So long a stream may be away before that is worth a word. */
const PATIENCE_MS = 4000

/** What happened, with whatever the server says of it; beside its events: `poll`, it is time to ask; `lost`, it cannot be reached; `back`, it can again. */
const EVENTS = ['hello', 'vault', 'roster', 'presence', 'activity', 'billing', 'catalog', 'resync']

/**
 * @param {{ url: (() => string) | null, onNews: (kind: string, data: Record<string, unknown>) => void }} options `url`: of the events from now on; null: there are none
 */
export function watch ({ url, onNews }) {
  /** @type {EventSource | undefined} */
  let stream
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience
  let isOver = false

  function poll () {
    showState('polling')
    timer ??= setInterval(() => { onNews('poll', {}) }, POLL_MS)
  }

  function open () {
    if (isOver || document.hidden || stream !== undefined || timer !== undefined) return
    if (url === null) { poll(); return }
    stream = new EventSource(url())
    stream.addEventListener('open', () => {
      clearTimeout(patience)
      patience = undefined
      showState('live')
      onNews('back', {})
    })
    stream.addEventListener('error', fall)
    for (const kind of EVENTS) stream.addEventListener(kind, event => { onNews(kind, parse(event.data)) })
    // it is ended by the server, which does not want it back at once: one is in too many tabs, or the plan has no events any more
    stream.addEventListener('bye', event => {
      close()
      poll()
      onNews('bye', parse(event.data))
    })
  }

  /** The browser tries again by itself, unless the answer was a refusal. */
  function fall () {
    if (stream?.readyState === EventSource.CLOSED) {
      close()
      poll()
      onNews('poll', {})
    } else {
      showState('start', 'reconnecting')
      patience ??= setTimeout(() => { onNews('lost', {}) }, PATIENCE_MS)
    }
  }

  function close () {
    stream?.close()
    stream = undefined
    clearInterval(timer)
    timer = undefined
    clearTimeout(patience)
    patience = undefined
  }

  // the events begin where the page is; without them it has to ask what it has missed
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) { close(); return }
    open()
    if (timer !== undefined) onNews('poll', {})
  })
  window.addEventListener('offline', () => { onNews('lost', {}) })
  window.addEventListener('online', () => {
    close()
    open()
    onNews('poll', {})
  })
  // a page that is left must not hold a stream, nor when it is kept for the way back
  window.addEventListener('pagehide', close)
  window.addEventListener('pageshow', ({ persisted }) => { if (persisted) open() })
  open()
  return {
    end () {
      isOver = true
      close()
    }
  }
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
