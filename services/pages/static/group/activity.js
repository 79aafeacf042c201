/** What happened in the group, newest first; what is new comes on top while one looks. */
import { byId, explain, fill } from '../dom.js'
import { colorOf } from '../shared/cells.js'
import { agoOf, fullAmount, fullTime } from '../shared/format.js'
import { html } from '../shared/html.js'

/** @import { ActivityEvent, VaultMember } from '../shared/types.d.ts' */
/** @import { Part } from '../shared/html.js' */
/** @import { Source } from './source.js' */

const TYPES = /** @type {Readonly<Record<string, string>>} */ ({
  '': 'Everything', 'storage.changed': 'Shared storage', 'item.received': 'Items received', loot: 'Loot', level: 'Levels', death: 'Deaths', 'member.joined': 'Arrivals', 'member.left': 'Departures', 'group.renamed': 'Names', 'billing.changed': 'Plan', other: 'Other'
})

/** @type {{ type: string, events: ActivityEvent[], nextCursor: string | null }} */
let shown = { type: '', events: [], nextCursor: null }
/** Of items that events name by id. @type {Map<number, string>} */
const names = new Map()

/** @param {Source} source @param {string} type @param {readonly VaultMember[]} members */
export async function openActivity (source, type, members) {
  const { events, nextCursor } = await source.activity(type)
  shown = { type, events: [...events], nextCursor }
  await findNames(source, events)
  draw(members, new Set())
}

/** @param {Source} source @param {readonly VaultMember[]} members */
export async function refreshActivity (source, members) {
  const { events } = await source.activity(shown.type)
  const known = new Set(shown.events.map(({ id }) => id))
  const fresh = events.filter(({ id }) => !known.has(id))
  if (fresh.length === 0) return
  await findNames(source, fresh)
  shown.events.unshift(...fresh)
  draw(members, new Set(fresh.map(({ id }) => id)))
}

/** @param {Source} source @param {readonly VaultMember[]} members */
export async function moreActivity (source, members) {
  const { events, nextCursor } = await source.activity(shown.type, shown.nextCursor)
  await findNames(source, events)
  shown = { ...shown, events: [...shown.events, ...events], nextCursor }
  draw(members, new Set())
}

/** @param {Source} source @param {readonly ActivityEvent[]} events */
async function findNames (source, events) {
  const ids = new Set(events.flatMap(({ data }) => [...stacksOf(data.deposits), ...stacksOf(data.withdrawals)]).map(({ itemId }) => itemId).filter(id => !names.has(id)))
  if (ids.size === 0) return
  const { items } = await source.names([...ids]).catch(() => ({ items: [] }))
  for (const { itemId, name } of items) names.set(itemId, name)
}

/** @param {readonly VaultMember[]} members @param {ReadonlySet<string>} fresh */
function draw (members, fresh) {
  fill(byId('view-activity'), html`<div class="view-head"><h2>Activity</h2><label><span class="unseen">Only</span><select data-type>${Object.entries(TYPES).map(([type, label]) => html`<option value="${type}"${type === shown.type ? html` selected` : ''}>${label}</option>`)}</select></label></div>
    ${shown.events.length === 0 ? html`<p class="muted">Nothing has happened yet.</p>` : html`<ul class="events">${shown.events.map(event => line(event, members, fresh.has(event.id)))}</ul>`}
    ${shown.nextCursor === null ? '' : html`<p><button type="button" data-more>Show more</button></p>`}`)
}

/** @param {ActivityEvent} event @param {readonly VaultMember[]} members @param {boolean} isFresh */
function line (event, members, isFresh) {
  const member = members.find(({ memberId }) => memberId === event.memberId)
  return html`<li class="${member === undefined ? 'm-shared' : colorOf(member)}${isFresh ? ' flash' : ''}"><i class="dot"></i><span>${tell(event)}</span><time datetime="${event.occurredAt}" title="${fullTime(event.occurredAt)}">${agoOf(event.occurredAt, Date.now())}</time></li>`
}

/** @param {ActivityEvent} event @returns {Part} */
function tell ({ type, memberName, data }) {
  const who = html`<b>${memberName ?? text(data.name) ?? 'Somebody'}</b>`
  const thing = `${text(data.name) ?? text(data.itemName) ?? 'something'}${number(data.quantity) > 1 ? ` × ${fullAmount(number(data.quantity))}` : ''}`
  const from = text(data.source) === undefined ? '' : html` from ${text(data.source)}`
  switch (type) {
    case 'member.joined': return html`${who} joined the group`
    case 'member.left': return html`${who} ${data.reason === 'removed' || data.reason === 'kicked' ? 'was removed' : 'left'}`
    case 'group.renamed': return html`The group is now called <b>${text(data.to)}</b>, before ${text(data.from)}`
    case 'storage.changed': return html`${who} ${[list('stored', data.deposits), list('took', data.withdrawals)].filter(part => part !== undefined).map((part, i) => html`${i > 0 ? ', and ' : ''}${part}`)}`
    case 'item.received': return html`${who} received <b>${thing}</b>${from}`
    case 'loot': return html`${who} looted <b>${thing}</b>${from}`
    case 'death': return html`${who} died${text(data.source) === undefined ? '' : html` to ${text(data.source)}`}`
    case 'level': return html`${who} reached level <b>${text(data.level)}</b>${text(data.skill) === undefined ? '' : html` in ${text(data.skill)}`}`
    case 'billing.changed': return html`The plan is now <b>${text(data.plan)}</b> (${text(data.status)})`
    case 'webhook.test': return html`A webhook was tested: ${text(data.webhook)}`
    default: return html`${who}: ${text(data.reportedType) ?? 'something happened'}`
  }
}

/** @param {string} verb @param {unknown} stacks */
function list (verb, stacks) {
  const all = stacksOf(stacks)
  if (all.length === 0) return undefined
  const told = all.slice(0, 4).map(({ itemId, quantity }) => `${fullAmount(quantity)} × ${names.get(itemId) ?? `item #${itemId}`}`)
  return html`${verb} ${told.join(', ')}${all.length > 4 ? ` and ${all.length - 4} more` : ''}`
}

/** @param {unknown} value @returns {Array<{ itemId: number, quantity: number }>} */
function stacksOf (value) {
  return Array.isArray(value) ? /** @type {Array<{ itemId: number, quantity: number }>} */ (value) : []
}

/** @param {unknown} value */
function text (value) {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

/** @param {unknown} value */
function number (value) {
  return typeof value === 'number' ? value : 1
}

/** @param {unknown} error */
export function failActivity (error) {
  fill(byId('view-activity'), html`<p class="muted">${explain(error)}</p>`)
}
