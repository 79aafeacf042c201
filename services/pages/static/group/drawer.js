/** One item: how much there is, what it is worth, who has it and where. Opens beside the items, takes the focus and gives it back. */
import { byId, explain, fill } from '../dom.js'
import { colorOf } from '../shared/cells.js'
import { agoOf, fullAmount, fullTime, shortAmount } from '../shared/format.js'
import { html } from '../shared/html.js'
import { CONTAINERS } from '../shared/query.js'
import { tile } from '../shared/tile.js'

/** @import { Holder, ItemBreakdown, VaultMember } from '../shared/types.d.ts' */

const drawer = byId('drawer')
const close = html`<button class="quiet round" type="button" data-close aria-label="Close" title="Close (Esc)"><svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="m6 6 12 12M18 6 6 18"/></svg></button>`

/** @param {{ itemId: number, name: string }} item what is known before the answer comes */
export function openDrawer ({ itemId, name }) {
  const wasHidden = drawer.hidden
  drawer.hidden = false
  fill(drawer, html`<div class="drawer-head">${tile(itemId, name)}<div><h2 id="drawer-title">${name}</h2><p>id ${itemId}</p></div>${close}</div><div class="skeleton" aria-hidden="true"><i></i><i></i></div>`)
  if (wasHidden) drawer.focus({ preventScroll: true })
}

/** @param {ItemBreakdown} breakdown @param {readonly VaultMember[]} members @param {string} more the address of the item in the member's view, without the member */
export function drawDrawer ({ item, total, doses, holders }, members, more) {
  fill(drawer, html`<div class="drawer-head">${tile(item.itemId, item.name)}<div><h2 id="drawer-title">${item.name}</h2><p>id ${item.itemId}</p></div>${close}</div>
    <p class="drawer-sum">${total > 0 || doses === 0 ? fullAmount(total) : ''} ${doses > 0 ? html`${total > 0 ? html`<small>and</small> ` : ''}${fullAmount(doses)} <small>doses</small>` : ''}</p>
    ${prices(item, total)}
    <div class="holders">${members.map(member => holder(member, holders.filter(({ memberId }) => memberId === member.memberId), total + doses, more))}</div>`)
}

/** @param {ItemBreakdown['item']} item @param {number} total */
function prices ({ geEach, alchEach }, total) {
  /** @param {string} label @param {string | null} each */
  const row = (label, each) => html`<tr><th scope="row">${label}</th><td>${each === null ? '–' : fullAmount(each)}</td><td title="${each === null ? '' : fullAmount(BigInt(each) * BigInt(total))}">${each === null ? '–' : shortAmount(BigInt(each) * BigInt(total))}</td></tr>`
  return html`<table class="prices"><thead><tr><th scope="col">Price</th><th scope="col">one</th><th scope="col">all</th></tr></thead><tbody>${row('GE', geEach)}${row('Alch', alchEach)}</tbody></table>`
}

/** @param {VaultMember} member @param {readonly Holder[]} places @param {number} all @param {string} more */
function holder ({ memberId, displayName, color, kind }, places, all, more) {
  const sum = places.reduce((sum, { quantity }) => sum + quantity, 0)
  if (sum === 0) return undefined
  const name = kind === 'player' ? html`<a data-who="${memberId}" href="${more}&who=${memberId}">${displayName}</a>` : displayName
  return html`<section class="${colorOf({ kind, color })}"><div class="holder-head"><b><i></i><span>${name}</span></b><span>${fullAmount(sum)} <span class="muted">· ${Math.max(1, Math.round(sum / all * 100))}%</span></span></div>
    <svg class="meter" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect width="${(sum / all * 100).toFixed(1)}" height="1"/></svg>
    <ul class="places">${places.map(({ container, quantity, capturedAt, approximate, unit }) => html`<li><span>${CONTAINERS[/** @type {keyof typeof CONTAINERS} */ (container)] ?? container}</span><span title="counted ${fullTime(capturedAt)}">${approximate ? 'about ' : ''}${fullAmount(quantity)}${unit === 'dose' ? ' doses' : ''} · ${agoOf(capturedAt, Date.now())}</span></li>`)}</ul></section>`
}

/** @param {unknown} error */
export function failDrawer (error) {
  fill(drawer, html`<div class="drawer-head"><span></span><h2 id="drawer-title">Not here</h2>${close}</div><p class="muted">${explain(error)}</p>`)
}

export function closeDrawer () {
  drawer.hidden = true
  drawer.replaceChildren()
}

export function isDrawerOpen () {
  return !drawer.hidden
}
