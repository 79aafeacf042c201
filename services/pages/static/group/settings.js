/**
 * The settings of a group, as far as one's role goes: roster, devices, join code, webhooks, plan, plugins of the other kind, and the ways out.
 * Each part asks for its own data, and a part that fails says so without the others.
 */
import { byId, explain, fieldsOf, fill, tellError, toast } from '../dom.js'
import { colorOf } from '../shared/cells.js'
import { agoOf, counted, fullTime } from '../shared/format.js'
import { html } from '../shared/html.js'
import { dashed } from '../shared/nothing.js'
import { copyText } from './invite.js'

/** @import { Billing, Delivery, Device, Group, Role, RosterMember, Webhook } from '../shared/types.d.ts' */
/** @import { Html, Part } from '../shared/html.js' */
/** @import { Source } from './source.js' */

/** @typedef {{ source: Source, groupId: string, me: { memberId: string, role: Role }, onChange: () => void }} Settings */

const EVENTS = /** @type {const} */ ({
  'storage.changed': 'Shared storage', 'item.received': 'Items received', loot: 'Loot', level: 'Levels', death: 'Deaths', 'member.joined': 'Arrivals', 'member.left': 'Departures', 'group.renamed': 'Names', 'billing.changed': 'Plan', other: 'Other'
})

const part = (/** @type {string} */ id, /** @type {string} */ title) => html`<section class="card" id="set-${id}" aria-labelledby="set-${id}-title"><h2 id="set-${id}-title">${title}</h2><div class="skeleton" aria-hidden="true"><i></i></div></section>`

/** @param {Settings} settings */
export async function openSettings (settings) {
  const { role } = settings.me
  const isAdmin = role !== 'member'
  const view = byId('view-settings')
  if (document.getElementById('set-roster') === null) {
    fill(view, html`<div class="settings">${part('roster', 'Members')}${part('devices', 'Linked plugins')}${isAdmin ? html`${part('group', 'Group')}${part('webhooks', 'Webhooks')}` : ''}${part('plan', 'Plan')}${part('leave', 'Leaving')}</div>`)
    listen(view, settings)
  }
  const { source } = settings
  await Promise.all([
    draw('roster', source.roster(), ({ members }) => roster(members, settings)),
    draw('devices', source.devices(), ({ tokens }) => devices(tokens)),
    ...(isAdmin ? [draw('group', source.group(), groupPart), draw('webhooks', source.webhooks(), ({ webhooks }) => webhooksPart(webhooks))] : []),
    draw('plan', source.billing(), billing => planPart(billing, role)),
    draw('leave', source.group(), group => leaving(group))
  ])
}

/** @template T @param {string} id @param {Promise<T>} answer @param {(answer: T) => Part} content */
async function draw (id, answer, content) {
  const section = byId(`set-${id}`)
  const heading = section.querySelector('h2')?.outerHTML ?? ''
  const inside = await answer.then(content, (/** @type {unknown} */ error) => html`<p>${explain(error)}</p>`)
  section.innerHTML = heading + html`${inside}`.text
}

/** @param {string} action @param {Record<string, string>} data @param {Part} label @param {string} [kind] */
function button (action, data, label, kind = '') {
  return html`<button class="small ${kind}" type="button" data-do="${action}"${Object.entries(data).map(([name, value]) => html` data-${name}="${value}"`)}>${label}</button>`
}

// --- members and devices -----------------------------------------------------------------------------------------------------

/** @param {RosterMember[]} members @param {Settings} settings */
function roster (members, { me }) {
  const players = members.filter(({ kind }) => kind === 'player')
  const isAdmin = me.role !== 'member'
  const own = players.find(({ id }) => id === me.memberId)
  return html`<ul class="lines">${players.map(member => html`<li class="${colorOf(member)}"><i class="dot"></i><span class="who"><b>${member.displayName}${member.id === me.memberId ? ' (you)' : ''}</b><small>${member.characterName ?? 'no character'} · ${member.online ? `online${member.world === null ? '' : `, world ${member.world}`}` : member.lastSyncAt === null ? 'never synced' : `synced ${agoOf(member.lastSyncAt, Date.now())}`}</small></span>
    ${roleOf(member, me)}
    ${isAdmin && member.role !== 'owner' && member.id !== me.memberId ? button('remove', { id: member.id, name: member.displayName }, 'Remove', 'danger') : ''}</li>`)}</ul>
    ${own === undefined ? '' : html`<form data-form="me" data-id="${own.id}"><div class="two"><label>Your name here<input name="displayName" value="${own.displayName}" maxlength="40" required></label><label>Your character<input name="characterName" value="${own.characterName}" maxlength="12"></label></div><button type="submit">Save</button></form>`}`
}

/** @param {RosterMember} member @param {Settings['me']} me */
function roleOf ({ id, role, displayName }, me) {
  if (me.role !== 'owner' || role === 'owner') return html`<span class="pill">${role}</span>`
  return html`<label><span class="unseen">Role of ${displayName}</span><select data-role="${id}" data-name="${displayName}">${['member', 'admin', 'owner'].map(one => html`<option value="${one}"${one === role ? html` selected` : ''}>${one}</option>`)}</select></label>`
}

/** @param {Device[]} tokens */
function devices (tokens) {
  return html`${tokens.length === 0 ? html`<p>No plugin is linked yet.</p>` : html`<ul class="lines">${tokens.map(token => html`<li><span class="who"><b>${token.label}</b><small>${token.memberName} · version ${token.pluginVersion} · ${token.lastUsedAt === null ? 'never used' : `used ${agoOf(token.lastUsedAt, Date.now())}`} · <span class="code">${token.prefix}…</span></small></span>${button('revoke', { id: token.id, name: token.label }, 'Revoke', 'danger')}</li>`)}</ul>`}
    <p><a class="button" href="/app/link">Link a plugin</a></p>`
}

// --- the group itself ---------------------------------------------------------------------------------------------------------

/** @param {Group} group */
function groupPart ({ name, joinCode = null, settings, compatName = null }) {
  return html`<form data-form="group"><label>Name<input name="name" value="${name}" maxlength="30" required></label>
      <label>What a member has is old after<select name="staleAfterMinutes">${stale(settings.staleAfterMinutes)}</select></label>
      <div class="checks"><label><input type="checkbox" name="showPotionStorage" value="yes"${settings.showPotionStorage ? html` checked` : ''}>Show doses of potions</label></div><button type="submit">Save</button></form>
    <h3>Join code</h3>
    ${joinCode === null ? html`<p>Joining is switched off.</p>` : html`<div class="join-code"><span>${dashed(joinCode)}</span>${button('copy', { text: dashed(joinCode) }, 'Copy')}</div>`}
    <div class="row">${joinCode === null ? button('code', { action: 'enable' }, 'Switch it on') : html`${button('code', { action: 'rotate' }, 'New code')}${button('code', { action: 'disable' }, 'Switch off')}`}</div>
    <h3>Plugins without sign-in</h3>
    <p>Plugins of the other kind know no persons: all of them use one secret of the group, under the name it had when the secret was made. Whoever has it can write for everybody.</p>
    <div id="compat"></div>
    <div class="row">${compatName === null ? button('compat', { on: 'true' }, 'Make a secret') : html`<span class="pill good">on, as “${compatName}”</span>${button('compat', { on: 'true' }, 'New secret')}${button('compat', { on: 'false' }, 'Switch off', 'danger')}`}</div>`
}

/** @param {number} chosen minutes */
function stale (chosen) {
  const choices = new Map([[60, 'an hour'], [360, '6 hours'], [1440, 'a day'], [4320, '3 days'], [10_080, 'a week']])
  if (!choices.has(chosen)) choices.set(chosen, counted(chosen, 'minute'))
  return [...choices].map(([minutes, label]) => html`<option value="${minutes}"${minutes === chosen ? html` selected` : ''}>${label}</option>`)
}

// --- webhooks -----------------------------------------------------------------------------------------------------------------

/** @param {Webhook[]} webhooks */
function webhooksPart (webhooks) {
  return html`<p>Events go to Discord, or to any server of yours, signed.</p>
    ${webhooks.length === 0 ? '' : html`<ul class="lines">${webhooks.map(webhook => html`<li><span class="who"><b>${webhook.label} ${webhook.enabled ? '' : html`<span class="pill bad">off${webhook.disabledReason === null ? '' : `: ${webhook.disabledReason}`}</span>`}</b><small>${webhook.kind} · ${webhook.url} · ${counted(webhook.events.length, 'kind')} of events</small></span>
      ${button('test', { id: webhook.id }, 'Test')}${button('log', { id: webhook.id }, 'Log')}${button('enable', { id: webhook.id, on: String(!webhook.enabled) }, webhook.enabled ? 'Pause' : 'Switch on')}${button('unhook', { id: webhook.id, name: webhook.label }, 'Delete', 'danger')}</li>`)}</ul>`}
    <div id="webhook-log" role="status"></div>
    <details><summary class="button small">Add a webhook</summary><form data-form="webhook">
      <label>Kind<select name="kind"><option value="discord">Discord</option><option value="generic">Any server</option></select></label>
      <label>Address<input name="url" type="url" required placeholder="https://discord.com/api/webhooks/…" autocomplete="off"></label>
      <label>Label<input name="label" maxlength="60" placeholder="Our channel"></label>
      <fieldset class="checks"><legend>Tell of</legend>${Object.entries(EVENTS).map(([type, label]) => html`<label><input type="checkbox" name="events" value="${type}"${['storage.changed', 'loot', 'item.received', 'member.joined'].includes(type) ? html` checked` : ''}>${label}</label>`)}</fieldset>
      <button class="primary" type="submit">Add</button></form></details>`
}

/** @param {Delivery[]} deliveries */
function deliveryLog (deliveries) {
  if (deliveries.length === 0) return html`<p class="muted">Nothing was delivered yet.</p>`
  return html`<table class="log"><thead><tr><th scope="col">Event</th><th scope="col">State</th><th scope="col">Tries</th><th scope="col">Answer</th><th scope="col">When</th></tr></thead><tbody>${deliveries.map(({ eventType, status, attempts, lastStatus, lastError, createdAt }) => html`<tr><td>${eventType}</td><td>${status}</td><td>${attempts}</td><td>${lastStatus ?? ''} ${lastError ?? ''}</td><td title="${fullTime(createdAt)}">${agoOf(createdAt, Date.now())}</td></tr>`)}</tbody></table>`
}

// --- plan and leaving -----------------------------------------------------------------------------------------------------------

/** @param {Billing} billing @param {Role} role */
function planPart ({ plan, status, premium, currentPeriodEnd, cancelAtPeriodEnd, graceUntil, limits, overLimit }, role) {
  const isOwner = role === 'owner'
  return html`<div class="row"><b>${plan === 'premium' ? 'Premium' : 'Free'}</b>${status === 'none' ? '' : html`<span class="pill ${status === 'active' || status === 'trialing' ? 'good' : 'bad'}">${status.replaceAll('_', ' ')}</span>`}</div>
    ${status === 'past_due' && graceUntil !== null ? html`<p class="banner warn"><span>The last payment failed. Premium stays until ${fullTime(graceUntil)}.</span></p>` : ''}
    ${overLimit.map(({ limit, used, max }) => html`<p class="banner warn"><span>More than the plan has room for: ${limit}, ${used} of ${max}. All of it stays, nothing can be added.</span></p>`)}
    ${premium && currentPeriodEnd !== null ? html`<p>${cancelAtPeriodEnd ? 'Ends' : 'Goes on'} on ${fullTime(currentPeriodEnd)}.</p>` : ''}
    <dl class="pairs"><dt>Players</dt><dd>${limits.maxMembers}</dd><dt>Webhooks</dt><dd>${limits.webhooks}</dd><dt>History</dt><dd>${counted(limits.historyDays, 'day')}</dd><dt>Live</dt><dd>${limits.live ? 'yes' : 'every 15 s'}</dd></dl>
    ${!isOwner ? html`<p>The owner decides about the plan.</p>` : html`<div class="row">${premium ? html`${button('cancel', { cancel: String(!cancelAtPeriodEnd) }, cancelAtPeriodEnd ? 'Keep it after all' : 'Cancel')}${button('portal', {}, 'Bills')}` : button('checkout', {}, 'Get premium, €3 a month', 'primary')}</div>`}`
}

/** @param {Group} group */
function leaving ({ role, name, memberCount }) {
  return html`<p>What you have leaves the vault with you, in the same moment.${role === 'owner' && memberCount > 1 ? ' Before you go, give the group to somebody: choose “owner” beside their name.' : ''}</p>
    <div class="row">${role === 'owner' && memberCount > 1 ? '' : button('leave', { name }, 'Leave the group', 'danger')}${role === 'owner' ? button('delete', { name }, 'Delete the group', 'danger') : ''}</div>`
}

// --- what is done -----------------------------------------------------------------------------------------------------------------

/** @param {HTMLElement} view @param {Settings} settings */
function listen (view, settings) {
  const { source } = settings
  const again = () => { void openSettings(settings); settings.onChange() }
  const done = (/** @type {Promise<unknown>} */ change, /** @type {string} */ text) => { change.then(() => { toast(text); again() }, tellError) }
  const away = (/** @type {Promise<unknown>} */ change) => { change.then(() => { location.assign('/app') }, tellError) }
  const goTo = (/** @type {Promise<{ url: string }>} */ answer) => { answer.then(({ url }) => { location.assign(url) }, tellError) }

  /** @type {Record<string, (data: Record<string, string>) => void>} */
  const actions = {
    copy: ({ text = '' }) => { copyText(text) },
    code: ({ action }) => { done(source.change('PUT', '/join-code', { action }), 'The join code is changed.') },
    remove: ({ id, name }) => { if (confirm(`Remove ${name}? What they have leaves the vault.`)) done(source.change('DELETE', `/members/${id}`), `${name} is removed.`) },
    revoke: ({ id, name }) => { if (confirm(`Revoke “${name}”? That plugin can write nothing from now on.`)) done(source.change('DELETE', `/tokens/${id}`), 'The plugin is revoked.') },
    test: ({ id }) => { done(source.change('POST', `/webhooks/${id}/test`), 'A test is on its way; the log shows what becomes of it.') },
    log: ({ id = '' }) => { source.deliveries(id).then(({ deliveries }) => { fill(byId('webhook-log'), deliveryLog(deliveries)) }, tellError) },
    enable: ({ id, on }) => { done(source.change('PATCH', `/webhooks/${id}`, { enabled: on === 'true' }), on === 'true' ? 'It is on.' : 'It is off.') },
    unhook: ({ id, name }) => { if (confirm(`Delete the webhook “${name}”?`)) done(source.change('DELETE', `/webhooks/${id}`), 'The webhook is deleted.') },
    checkout: () => { goTo(source.pay('/checkout', { planId: 'premium' })) },
    portal: () => { goTo(source.pay('/portal')) },
    cancel: ({ cancel }) => { done(source.pay('/cancel', { cancel: cancel === 'true' }), cancel === 'true' ? 'It ends with the period that is paid.' : 'It goes on.') },
    leave: ({ name }) => { if (confirm(`Leave ${name}?`)) away(source.change('POST', '/leave')) },
    delete: ({ name }) => { if (prompt(`This deletes the group for all of its members. Type its name, ${name}, to go on.`) === name) away(source.change('DELETE', '', { confirm: name })) },
    compat: ({ on }) => {
      /** @type {Promise<{ compatToken?: string }>} */
      const answer = source.change('PATCH', '', { compatToken: on === 'true' })
      answer.then(async ({ compatToken }) => {
        await openSettings(settings)
        if (compatToken !== undefined) showSecret('compat', compatToken)
      }).catch(tellError)
    }
  }

  view.addEventListener('click', ({ target }) => {
    const pressed = target instanceof Element ? target.closest('[data-do]') : null
    if (!(pressed instanceof HTMLElement)) return
    const { do: name = '', ...data } = pressed.dataset
    actions[name]?.(/** @type {Record<string, string>} */ (data))
  })

  view.addEventListener('change', ({ target }) => {
    if (!(target instanceof HTMLSelectElement) || target.dataset.role === undefined) return
    const { role: id, name } = target.dataset
    if (target.value !== 'owner') done(source.change('PATCH', `/members/${id}`, { role: target.value }), `${name} is ${target.value} now.`)
    else if (confirm(`Give the group to ${name}? You stay as an admin.`)) source.change('POST', '/transfer', { memberId: id }).then(() => { location.reload() }, tellError)
    else void openSettings(settings)
  })

  view.addEventListener('submit', event => {
    const { target } = event
    if (!(target instanceof HTMLFormElement)) return
    event.preventDefault()
    const fields = fieldsOf(target)
    const all = new FormData(target)
    if (target.dataset.form === 'me') done(source.change('PATCH', `/members/${target.dataset.id}`, { displayName: fields.displayName, characterName: fields.characterName ?? null }), 'Saved.')
    if (target.dataset.form === 'group') done(source.change('PATCH', '', { name: fields.name, settings: { showPotionStorage: all.has('showPotionStorage'), staleAfterMinutes: Number(fields.staleAfterMinutes) } }), 'Saved.')
    if (target.dataset.form === 'webhook') addWebhook({ kind: fields.kind, url: fields.url, ...(fields.label !== undefined && { label: fields.label }), events: all.getAll('events').map(String) })
  })

  /** @param {object} webhook */
  function addWebhook (webhook) {
    /** @type {Promise<{ secret: string | null }>} */
    const answer = source.change('POST', '/webhooks', webhook)
    answer.then(async ({ secret }) => {
      toast('The webhook is added.')
      await openSettings(settings)
      if (secret !== null) showSecret('webhook-log', secret)
    }).catch(tellError)
  }
}

/** @param {string} id @param {string} secret */
function showSecret (id, secret) {
  fill(byId(id), html`<p>Keep this; it is shown this once:</p><p class="secret">${secret}</p>`)
}
