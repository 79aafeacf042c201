/** Elements. Whatever comes from the server gets in as text, never as markup. */

const SVG = 'http://www.w3.org/2000/svg'

/** The element with this id. Throws if it is not there. @param {string} id @returns {HTMLElement} */
export function byId (id) {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no #${id}`)
  return element
}

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} className @param {...(Node | string)} children @returns {HTMLElementTagNameMap[T]} */
export function el (tag, className, ...children) {
  const element = document.createElement(tag)
  if (className !== '') element.className = className
  element.append(...children)
  return element
}

/** @param {string} tag @param {Record<string, string | number>} attributes @returns {SVGElement} */
export function svg (tag, attributes) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  return element
}

/** Touches the document only if something is new, so that what is selected stays selected. @param {Element} element @param {string} text */
export function setText (element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * The children of a list, one for each item, in its order. Those that were there stay, with their focus and their state.
 * @template T
 * @param {Element} list @param {readonly T[]} items @param {(item: T) => string} keyOf @param {(item: T) => HTMLElement} create @param {(element: HTMLElement, item: T) => void} update
 */
export function syncList (list, items, keyOf, create, update) {
  const old = new Map(Array.from(list.children, child => [/** @type {HTMLElement} */ (child).dataset['key'] ?? '', /** @type {HTMLElement} */ (child)]))
  /** @type {Element | null} */
  let next = list.firstElementChild
  for (const item of items) {
    const key = keyOf(item)
    let element = old.get(key)
    if (element === undefined) {
      element = create(item)
      element.dataset['key'] = key
    }
    old.delete(key)
    update(element, item)
    if (element === next) next = next.nextElementSibling
    else list.insertBefore(element, next)
  }
  for (const element of old.values()) element.remove()
}

/** @param {Element} element @param {string} selector @returns {HTMLElement} */
export function find (element, selector) {
  const found = element.querySelector(selector)
  if (!(found instanceof HTMLElement)) throw new Error(`there is no ${selector}`)
  return found
}
