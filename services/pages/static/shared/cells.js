/** Items in the grid, and the numbers above it. One markup for the server, which draws them first, and for the browser, which draws what has changed. */
import { fullAmount, shortAmount, shortQuantity } from './format.js'
import { html } from './html.js'
import { writeQuery } from './query.js'
import { tile } from './tile.js'

/** @import { VaultTotals, VaultItem, VaultMember } from './types.d.ts' */
/** @import { PageQuery } from './query.js' */

/** So that doses and the thing itself are two. @param {Pick<VaultItem, 'itemId' | 'unit'>} item */
export function keyOf ({ itemId, unit }) {
  return unit === 'dose' ? `${itemId}-dose` : String(itemId)
}

/** @param {string | null} each @param {number} quantity @param {PageQuery['price']} price */
function priceOf (each, quantity, price) {
  if (each === null) return '–'
  return shortAmount(price === 'single' ? each : BigInt(each) * BigInt(quantity))
}

/** `Anna 2, Ben 1` @param {VaultItem} item @param {readonly VaultMember[]} members */
function describeHolders ({ perMember }, members) {
  return members.filter(({ memberId }) => (perMember[memberId] ?? 0) > 0).map(({ memberId, displayName }) => `${displayName} ${fullAmount(perMember[memberId] ?? 0)}`).join(', ')
}

/** @typedef {{ members: readonly VaultMember[], query: PageQuery, base?: string }} Page `base`: the path that an item's address is of; none: of the page itself */

/** The colour of a member: one of five, or that of the shared storage. @param {Pick<VaultMember, 'kind' | 'color'>} member */
export function colorOf ({ kind, color }) {
  return kind === 'shared' ? 'm-shared' : `m${color % 5}`
}

/** @param {VaultItem} item @param {Page} page */
export function cell (item, { members, query, base = '' }) {
  const { itemId, name, unit, quantity, approximate } = item
  const amount = `${approximate ? 'about ' : ''}${fullAmount(quantity)}${unit === 'dose' ? ' doses' : ''}`
  const ge = priceOf(item.geEach, quantity, query.price)
  const alch = priceOf(item.alchEach, quantity, query.price)
  return html`<li><a class="cell" id="i-${keyOf(item)}" data-item="${itemId}" href="${base}${writeQuery({ ...query, item: itemId })}" title="${name} × ${fullAmount(quantity)}${unit === 'dose' ? ' doses' : ''}
GE ${ge}, alch ${alch}"><span class="unseen">${name}, ${amount}. ${describeHolders(item, members)}</span>${tile(itemId, name)}<b aria-hidden="true" class="badge${sizeOf(quantity)}">${approximate ? '~' : ''}${shortQuantity(quantity)}</b>${unit === 'dose' ? html`<i aria-hidden="true" class="mark">doses</i>` : ''}<span aria-hidden="true" class="name">${name}</span><span aria-hidden="true" class="ge">${ge}</span><span aria-hidden="true" class="alch">${alch}</span>${shareStrip(item, members)}</a></li>`
}

/** As the game colours its stacks. @param {number} quantity */
function sizeOf (quantity) {
  return quantity >= 10_000_000 ? ' huge' : quantity >= 100_000 ? ' large' : ''
}

/** A part for each holder, as wide as the share. @param {VaultItem} item @param {readonly VaultMember[]} members */
function shareStrip ({ perMember, quantity }, members) {
  let x = 0
  const parts = members.filter(({ memberId }) => (perMember[memberId] ?? 0) > 0).map(({ memberId, kind, color }) => {
    const width = Math.max((perMember[memberId] ?? 0) / quantity * 100, 0.5)
    const part = html`<rect class="${colorOf({ kind, color })}" x="${x.toFixed(1)}" width="${width.toFixed(1)}" height="1"/>`
    x += width
    return part
  })
  return html`<svg class="share" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">${parts}</svg>`
}

/** @param {readonly VaultItem[]} items @param {Page} page */
export function cells (items, page) {
  return items.map(item => cell(item, page))
}

/** @param {VaultTotals} totals */
export function totalsStrip ({ distinctItems, totalQuantity, geValue, alchValue, unpricedItems }) {
  return html`
    ${total('ge', 'GE value', shortAmount(geValue), `${fullAmount(geValue)} gp`)}
    ${total('alch', 'Alch value', shortAmount(alchValue), `${fullAmount(alchValue)} gp`)}
    ${total('quantity', 'Quantity', shortAmount(totalQuantity), fullAmount(totalQuantity))}
    ${total('distinct', 'Distinct items', fullAmount(distinctItems), fullAmount(distinctItems))}
    ${total('unpriced', 'Without a price', fullAmount(unpricedItems), fullAmount(unpricedItems))}`
}

/** @param {string} name @param {string} label @param {string} short @param {string} full */
function total (name, label, short, full) {
  return html`<div class="total"><dt>${label}</dt><dd id="total-${name}" title="${full}">${short}</dd></div>`
}
