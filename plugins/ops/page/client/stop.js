/** Stopping: asked for once more with what will be lost, then done, then told. */
import { byId, setText } from './dom.js'
import { formatAge } from './format.js'

/** @import { Target } from './running.js' */

/** @type {Target | undefined} */
let asked

/** @param {string} base where the plugin's routes are */
export function prepareStop (base) {
  const dialog = getDialog()
  dialog.addEventListener('close', () => {
    if (dialog.returnValue === 'stop' && asked !== undefined) void stop(base, asked)
    asked = undefined
  })
  // a click beside it
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close('') })
}

/** @param {Target} target */
export function askToStop (target) {
  asked = target
  const what = target.kind === 'statements' ? 'statement' : 'transaction'
  setText(byId('stop-title'), `Stop this ${what}?`)
  setText(byId('stop-whose'), `${target.whose} · for ${formatAge(target.ageMs)} now`)
  setText(byId('stop-sql'), target.sql)
  setText(byId('stop-effect'), target.kind === 'statements'
    ? 'Who asked for it gets an error (HTTP 503). If it is part of a transaction, all of that is rolled back. Nothing else is touched.'
    : 'All that it has written is rolled back, and who asked for it gets an error (HTTP 503). Nothing else is touched.')
  setText(byId('stop-yes'), `Stop the ${what}`)
  const dialog = getDialog()
  dialog.returnValue = ''
  dialog.showModal()
}

/** @param {string} text @param {'good' | 'bad'} level */
export function tell (text, level) {
  const element = byId('told')
  setText(element, text)
  element.dataset['level'] = level
  element.hidden = false
}

/** @param {string} base @param {Target} target */
async function stop (base, { kind, id, whose, ageMs }) {
  try {
    const answer = await fetch(`${base}/${kind}/${encodeURIComponent(id)}`, { method: 'DELETE', headers: { 'x-ops': '1' } })
    if (answer.ok) tell(`Stopped: ${whose}, after ${formatAge(ageMs)}.`, 'good')
    else if (answer.status === 404) tell(`It had ended by itself: ${whose}.`, 'good')
    else tell(`It could not be stopped: ${await reason(answer)}`, 'bad')
  } catch {
    tell('It could not be stopped: the app does not answer.', 'bad')
  }
}

/** @param {Response} answer */
async function reason (answer) {
  try {
    const body = /** @type {unknown} */ (await answer.json())
    if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string') return body.message
  } catch {}
  return `the app answered ${answer.status}.`
}

function getDialog () {
  return /** @type {HTMLDialogElement} */ (byId('stop-dialog'))
}
