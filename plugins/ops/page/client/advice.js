/** The memory advice, as far as there is any. */
import { byId, el, setText, syncList } from './dom.js'

/** @param {unknown} answer undefined: there is none */
export function showAdvice (answer) {
  const section = byId('advice')
  section.hidden = answer === undefined
  if (typeof answer !== 'object' || answer === null) return
  const { advice } = /** @type {{ advice?: unknown }} */ (answer)
  const list = Array.isArray(advice) ? advice.filter(isAdvice) : []
  byId('advice-empty').hidden = list.length > 0
  syncList(byId('advice-list'), list, ({ variable, value }) => `${variable}=${value}`, ({ variable, value }) => el('li', 'advice-item', el('code', '', `${variable}=${value}`), el('p', '')), (element, { why }) => {
    const text = element.querySelector('p')
    if (text !== null) setText(text, why)
  })
}

/** @param {unknown} value @returns {value is { variable: string, value: string, why: string }} */
function isAdvice (value) {
  return typeof value === 'object' && value !== null && 'variable' in value && 'value' in value && 'why' in value && typeof value.why === 'string'
}
