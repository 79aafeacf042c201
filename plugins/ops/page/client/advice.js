/** The memory advice, as far as there is any. */
import { byId, el, setText, syncList } from './dom.js'

/** @param {unknown} answer undefined: there is none */
export function showAdvice (answer) {
  const section = byId('advice')
  section.hidden = answer === undefined
  if (typeof answer !== 'object' || answer === null) return
  const { changes, reasons } = /** @type {{ changes?: unknown, reasons?: unknown }} */ (answer)
  const list = Array.isArray(changes) ? changes.filter(isChange) : []
  byId('advice-empty').hidden = list.length > 0
  const why = Array.isArray(reasons) ? reasons.filter(reason => typeof reason === 'string') : []
  syncList(byId('advice-reasons'), why, reason => reason, reason => el('li', 'reason', reason), () => {})
  syncList(byId('advice-list'), list, ({ variable, now, to }) => `${variable} ${now} ${to}`, ({ variable, now, to }) => el('li', 'advice-item', el('code', '', `${variable}=${to}`), el('span', 'meta', ` instead of ${now}`), el('p', '')), (element, { why }) => {
    const text = element.querySelector('p')
    if (text !== null) setText(text, why)
  })
}

/** @param {unknown} value @returns {value is { variable: string, now: string, to: string, why: string }} */
function isChange (value) {
  return typeof value === 'object' && value !== null && 'variable' in value && 'now' in value && 'to' in value && 'why' in value && typeof value.why === 'string'
}
