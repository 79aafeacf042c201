/** Small things about elements that all pages need. */

/** @import { Html } from './shared/html.js' */

/** The element with this id. Throws if it is not there. @param {string} id @returns {HTMLElement} */
export function byId (id) {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element
}

/** What `html` has made, into an element. @param {Element} element @param {Html | Html[]} content */
export function fill (element, content) {
  element.innerHTML = [content].flat().map(part => part.text).join('')
}

/** @param {Html} content @returns {HTMLElement} */
export function toElement (content) {
  const template = document.createElement('template')
  template.innerHTML = content.text.trim()
  return /** @type {HTMLElement} */ (template.content.firstElementChild)
}

/** @param {string} text */
export function toast (text) {
  const element = document.createElement('p')
  element.className = 'toast'
  element.textContent = text
  byId('toasts').append(element)
  setTimeout(() => { element.remove() }, 5000)
}

/** What an error says to who looks at the page. @param {unknown} error */
export function explain (error) {
  return error instanceof Error ? error.message : 'It did not work.'
}

/** @param {unknown} error */
export function tellError (error) {
  toast(explain(error))
}

/** The fields of a form that say something. @param {HTMLFormElement} form @returns {Record<string, string>} */
export function fieldsOf (form) {
  return Object.fromEntries([...new FormData(form)].flatMap(([name, value]) => typeof value === 'string' && value.trim() !== '' ? [[name, value.trim()]] : []))
}

/**
 * Calls `send` when the form is submitted; while that lasts nothing more is sent, and what goes wrong stands in the form.
 * @param {HTMLFormElement} form @param {(fields: Record<string, string>, button: HTMLButtonElement | null) => Promise<void>} send
 */
export function onSubmit (form, send) {
  form.addEventListener('submit', event => {
    event.preventDefault()
    const button = event.submitter instanceof HTMLButtonElement ? event.submitter : null
    const problem = form.querySelector('.error')
    if (problem instanceof HTMLElement) problem.hidden = true
    const buttons = form.querySelectorAll('button')
    for (const one of buttons) one.disabled = true
    void send(fieldsOf(form), button).catch((/** @type {unknown} */ error) => {
      if (!(problem instanceof HTMLElement)) { toast(explain(error)); return }
      problem.textContent = explain(error)
      problem.hidden = false
    }).finally(() => {
      for (const one of buttons) one.disabled = false
    })
  })
}
