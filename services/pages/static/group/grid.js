/**
 * The items of the vault, in the page. After a filter all of them are drawn; after a change only those that it touched, which then flash.
 * What is kept true: an element stands for one item; the one that has the focus keeps it.
 */
import { byId, fill, toElement } from '../dom.js'
import { cell, cells, keyOf, totalsStrip } from '../shared/cells.js'
import { html } from '../shared/html.js'
import { nothing } from '../shared/nothing.js'

/** @import { GroupStart, VaultItem, VaultPage } from '../shared/types.d.ts' */
/** @import { PageQuery } from '../shared/query.js' */

const grid = byId('grid')

/** @param {VaultPage} vault @param {PageQuery} query @param {GroupStart} start */
export function drawGrid (vault, query, start) {
  fill(grid, cells(vault.items, { members: vault.members, query }))
  drawAround(vault, query, start)
}

/** @param {VaultPage} vault @param {PageQuery} query @param {GroupStart} start */
function drawAround (vault, query, start) {
  grid.dataset.layout = query.layout
  grid.dataset.sort = query.sort
  fill(byId('grid-end'), vault.nextCursor === null ? [] : html`<button id="more" type="button">Show more</button>`)
  fill(byId('nothing'), vault.items.length > 0 ? [] : html`${nothing(query, { isDemo: start.isDemo, joinCode: start.group.joinCode })}`)
  drawTotals(vault)
  markOpen(query.item)
}

/** @param {readonly VaultItem[]} items @param {VaultPage} vault @param {PageQuery} query */
export function appendCells (items, vault, query) {
  grid.insertAdjacentHTML('beforeend', html`${cells(items, { members: vault.members, query })}`.text)
  fill(byId('grid-end'), vault.nextCursor === null ? [] : html`<button id="more" type="button">Show more</button>`)
}

/** From what is shown to what is now. @param {VaultPage} before @param {VaultPage} now @param {PageQuery} query @param {GroupStart} start */
export function changeGrid (before, now, query, start) {
  const old = new Map(before.items.map(item => [keyOf(item), JSON.stringify(item)]))
  const focused = document.activeElement?.id
  const page = { members: now.members, query }
  now.items.forEach((item, i) => {
    const key = keyOf(item)
    const isSame = old.get(key) === JSON.stringify(item)
    const current = document.getElementById(`i-${key}`)?.parentElement
    const element = isSame && current != null ? current : toElement(cell(item, page))
    if (!isSame) element.firstElementChild?.classList.add(old.has(key) ? 'flash' : 'fresh')
    if (current != null && current !== element) current.replaceWith(element)
    if (grid.children[i] !== element) grid.insertBefore(element, grid.children[i] ?? null)
  })
  while (grid.children.length > now.items.length) grid.lastElementChild?.remove()
  if (focused?.startsWith('i-') === true && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true })
  drawAround(now, query, start)
}

grid.addEventListener('animationend', ({ target }) => {
  if (target instanceof Element) target.classList.remove('flash', 'fresh')
})

/** @param {VaultPage} vault */
function drawTotals ({ totals }) {
  const strip = byId('totals')
  const before = new Map([...strip.querySelectorAll('dd')].map(({ id, title }) => [id, title]))
  fill(strip, totalsStrip(totals))
  for (const element of strip.querySelectorAll('dd')) if (before.get(element.id) !== element.title) element.classList.add('changed')
}

/** Which item is open. @param {number | null} itemId */
export function markOpen (itemId) {
  for (const element of grid.querySelectorAll('[aria-current]')) element.removeAttribute('aria-current')
  if (itemId !== null) for (const element of grid.querySelectorAll(`[data-item="${itemId}"]`)) element.setAttribute('aria-current', 'true')
}

/** Arrows go through the items as they are seen; Home and End to the ends. @param {KeyboardEvent} event */
export function moveFocus (event) {
  const all = [...grid.querySelectorAll('.cell')]
  const at = all.findIndex(element => element === document.activeElement)
  if (at === -1) return
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns(all), ArrowUp: at - columns(all), Home: 0, End: all.length - 1 }[event.key]
  const target = next === undefined ? undefined : all[next]
  if (!(target instanceof HTMLElement)) return
  event.preventDefault()
  target.focus()
  target.scrollIntoView({ block: 'nearest' })
}

/** How many stand beside each other. @param {Element[]} all */
function columns (all) {
  const top = all[0]?.getBoundingClientRect().top
  const second = all.findIndex(element => element.getBoundingClientRect().top !== top)
  return second === -1 ? all.length : second
}

/** The first item. */
export function focusGrid () {
  const first = grid.querySelector('.cell')
  if (first instanceof HTMLElement) first.focus()
}
