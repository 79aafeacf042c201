/** What stands where items would. For the server and the browser. */
import { html } from './html.js'
import { isFiltered } from './query.js'

/** @import { PageQuery } from './query.js' */

/** @param {PageQuery} query @param {{ isDemo: boolean, joinCode: string | null }} group */
export function nothing (query, { isDemo, joinCode }) {
  if (isFiltered(query) || isDemo) return html`<div class="nothing"><h2>Nothing found</h2><p>No item fits what you chose.</p><p><a class="button" href="?" data-reset>Show everything</a></p></div>`
  return html`<div class="nothing"><h2>The vault is empty</h2><p>It fills by itself as soon as a plugin is linked.</p>
    <ol class="todo">
      <li><b>Install the plugin</b><span>In the game’s client, look for “Group vault”.</span></li>
      <li><b>Let it show a code</b><span>Open the plugin and choose Link.</span></li>
      <li><b>Confirm it here</b><span><a class="button primary" href="/app/link">Link a plugin</a></span></li>
    </ol>
    ${joinCode === null ? '' : html`<p class="muted">Meanwhile your friends can join with <span class="code">${dashed(joinCode)}</span>.</p>`}</div>`
}

/** `WDJBMJHT` → `WDJB-MJHT` @param {string} code */
export function dashed (code) {
  return code.includes('-') ? code : `${code.slice(0, 4)}-${code.slice(4)}`
}
