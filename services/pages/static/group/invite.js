/** The join code of the group, to hand on. Who is no admin is told whom to ask. */
import { byId, fill, tellError, toast } from '../dom.js'
import { html } from '../shared/html.js'
import { dashed } from '../shared/nothing.js'

/** @import { GroupStart } from '../shared/types.d.ts' */
/** @import { Source } from './source.js' */

const dialog = /** @type {HTMLDialogElement} */ (byId('dialog'))

/** @param {Source} source @param {GroupStart} start */
export function openInvitation (source, { group, me }) {
  const isAdmin = me !== null && me.role !== 'member'
  draw(group.joinCode, isAdmin)
  dialog.showModal()
  if (isAdmin) source.group().then(({ joinCode = null }) => { draw(joinCode, true) }, () => {})
  dialog.onclick = ({ target }) => {
    if (!(target instanceof HTMLElement)) return
    if (target === dialog || target.closest('[data-dismiss]') !== null) dialog.close()
    const copy = target.closest('[data-copy]')
    if (copy instanceof HTMLElement) copyText(copy.dataset.copy ?? '')
    const action = target.closest('[data-action]')
    if (!(action instanceof HTMLElement)) return
    /** @type {Promise<{ joinCode: string | null }>} */
    const done = source.change('PUT', '/join-code', { action: action.dataset.action })
    done.then(({ joinCode }) => {
      draw(joinCode, true)
      toast(joinCode === null ? 'Nobody can join now.' : 'This code is good from now on.')
    }, tellError)
  }
}

/** @param {string | null} code @param {boolean} isAdmin */
function draw (code, isAdmin) {
  fill(dialog, html`<div class="dialog-head"><h2 id="dialog-title">Invite somebody</h2><button class="quiet small" type="button" data-dismiss>Close</button></div>
    ${!isAdmin ? html`<p>Only the owner and the admins of a group see its code. Ask one of them.</p>` : code === null ? html`<p>Joining is switched off.</p><div class="row"><button class="primary" type="button" data-action="enable">Switch it on</button></div>` : withCode(code)}`)
}

/** @param {string} code */
function withCode (code) {
  const link = `${location.origin}/join/${dashed(code)}`
  return html`<p class="muted">Who has this code can join, until the group is full.</p>
    <div class="join-code"><span>${dashed(code)}</span><button class="small" type="button" data-copy="${dashed(code)}">Copy code</button></div>
    <div class="row"><button class="primary" type="button" data-copy="${link}">Copy link</button><button type="button" data-action="rotate">New code</button><button type="button" data-action="disable">Switch off</button></div>
    <p class="note">A new code ends the old one at once.</p>`
}

/** @param {string} text */
export function copyText (text) {
  navigator.clipboard.writeText(text).then(() => { toast('Copied.') }, () => { toast(text) })
}
