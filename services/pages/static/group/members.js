/** What one member has, place by place. "Never synced" is not "empty": of the one nothing is known, of the other that there is nothing. */
import { byId, fill } from '../dom.js'
import { colorOf } from '../shared/cells.js'
import { agoOf, fullAmount, fullTime, tinyQuantity } from '../shared/format.js'
import { html } from '../shared/html.js'
import { CONTAINERS, writeQuery } from '../shared/query.js'
import { tile } from '../shared/tile.js'

/** @import { ContainerContent, MemberContainers, VaultMember } from '../shared/types.d.ts' */
/** @import { PageQuery } from '../shared/query.js' */

const DAY = 86_400_000

/** Where in a 3 × 5 field each of the 14 places of the equipment is; those that show nothing (hair, jaw, arms) have none. */
const WORN = /** @type {const} */ ([[0, 'head'], [1, 'cape'], [2, 'neck'], [13, 'ammo'], [3, 'weapon'], [4, 'body'], [5, 'shield'], [7, 'legs'], [9, 'hands'], [10, 'feet'], [12, 'ring']])
const WORN_FIELD = /** @type {const} */ ([null, 0, null, 1, 2, 13, 3, 4, 5, null, 7, null, 9, 10, 12])

/** @param {readonly VaultMember[]} members @param {PageQuery} query */
export function peopleBar (members, query) {
  return html`<nav class="people" aria-label="Members">${members.map(({ memberId, displayName, kind, color }) =>
    html`<a class="${colorOf({ kind, color })}" data-who="${memberId}" href="${writeQuery({ ...query, who: memberId })}"${memberId === query.who ? html` aria-current="true"` : ''}><i class="dot"></i>${displayName}</a>`)}</nav>`
}

/** @param {MemberContainers} answer @param {readonly VaultMember[]} members @param {PageQuery} query */
export function drawMember ({ containers, items }, members, query) {
  const page = { items, query }
  const parts = Object.entries(containers).map(([name, content]) => ({ name, content }))
  const isSide = (/** @type {{ name: string }} */ { name }) => ['inventory', 'equipment', 'rune_pouch', 'quiver'].includes(name)
  const side = parts.filter(isSide)
  const stores = parts.filter(part => !isSide(part))
  fill(byId('view-members'), html`${peopleBar(members, query)}<div class="${side.length > 0 ? 'member-view' : ''}">
    ${side.length > 0 ? html`<div class="side">${side.map(part => panel(part, page))}</div>` : ''}<div class="side">${stores.map(part => panel(part, page))}</div></div>`)
}

/** @typedef {{ items: MemberContainers['items'], query: PageQuery }} Page */

/** @param {{ name: string, content: ContainerContent | null }} part @param {Page} page */
function panel ({ name, content }, page) {
  const now = Date.now()
  const isOld = content !== null && now - Date.parse(content.capturedAt) > DAY
  const held = content?.slots.filter(slot => slot !== null).length ?? 0
  return html`<section class="panel" data-container="${name}"><div class="panel-head"><h3>${CONTAINERS[/** @type {keyof typeof CONTAINERS} */ (name)] ?? name}</h3>
    ${content === null ? '' : html`<small class="${isOld ? 'stale' : ''}" title="${fullTime(content.capturedAt)}">${held > 0 ? `${fullAmount(held)} · ` : ''}${isOld ? 'old: ' : ''}${content.approximate ? 'about, ' : ''}${agoOf(content.capturedAt, now)}</small>`}</div>
    ${content === null ? html`<p>Never synced: nothing is known of it.</p>` : slots(name, content, page)}</section>`
}

/** @param {string} name @param {ContainerContent} content @param {Page} page */
function slots (name, { slots }, page) {
  if (name === 'equipment') return html`<div class="slots worn">${WORN_FIELD.map(at => at === null ? html`<span class="slot none"></span>` : slot(slots[at] ?? null, page, WORN.find(([place]) => place === at)?.[1]))}</div>`
  if (!slots.some(slot => slot !== null)) return html`<p>Empty.</p>`
  const isFour = name === 'inventory' || name === 'rune_pouch'
  return html`<div class="slots${isFour ? ' four' : ''}">${slots.map(stack => slot(stack, page))}</div>`
}

/** @param {ContainerContent['slots'][number]} stack @param {Page} page @param {string} [place] */
function slot (stack, { items, query }, place) {
  if (stack === null) return html`<span class="slot">${place}</span>`
  const { itemId, quantity } = stack
  const name = items[itemId]?.name ?? `Item #${itemId}`
  return html`<a class="slot" data-item="${itemId}" href="${writeQuery({ ...query, item: itemId })}" title="${name} × ${fullAmount(quantity)}"><span class="unseen">${name}, ${fullAmount(quantity)}${place === undefined ? '' : `, ${place}`}</span>${tile(itemId, name)}${quantity > 1 ? html`<b aria-hidden="true">${tinyQuantity(quantity)}</b>` : ''}</a>`
}
