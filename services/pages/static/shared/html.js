/**
 * HTML as text, with whatever is put into it escaped. For the server and the browser.
 *
 * What is kept true: only what `html` made is taken as HTML; a text that somebody chose (a name, a label) never becomes markup. Values stand in text or in quoted attributes.
 */

/** HTML that `html` has made. */
export class Html {
  /** @param {string} text */
  constructor (text) {
    this.text = text
  }

  toString () {
    return this.text
  }
}

/** @typedef {Html | string | number | bigint | boolean | null | undefined | readonly Part[]} Part */

/**
 * `` html`<b title="${name}">${name}</b>` ``: texts and numbers are escaped, lists are joined; null, undefined and booleans are nothing.
 * @param {TemplateStringsArray} strings
 * @param {readonly Part[]} parts
 */
export function html (strings, ...parts) {
  return new Html(strings.reduce((text, string, i) => text + write(parts[i - 1]) + string))
}

/** @param {Part} part @returns {string} */
function write (part) {
  if (part instanceof Html) return part.text
  if (Array.isArray(part)) return part.map(write).join('')
  return part == null || typeof part === 'boolean' ? '' : escape(String(part))
}

const ENTITIES = /** @type {Readonly<Record<string, string>>} */ ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' })

/** @param {string} text */
function escape (text) {
  return text.replace(/[&<>"']/g, character => ENTITIES[character] ?? '')
}

/** Data for the browser's code. It is not run, so the policy of the page has nothing against it. @param {string} id @param {unknown} value */
export function dataBlock (id, value) {
  const json = JSON.stringify(value).replace(/</g, '\\u003c').replace(/\u2028|\u2029/g, '')
  return html`<script type="application/json" id="${id}">${new Html(json)}</script>`
}
