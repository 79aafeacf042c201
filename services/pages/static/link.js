/** `/app/link`: a plugin is allowed, or not. */
import './plain.js'
import { change } from './api.js'
import { fill, onSubmit } from './dom.js'
import { html } from './shared/html.js'

const approve = document.getElementById('approve')
if (approve instanceof HTMLFormElement) {
  onSubmit(approve, async ({ userCode, groupId }, button) => {
    const allow = button?.value === 'true'
    await change('POST', '/sync/pair/approve', { userCode, groupId, allow })
    fill(approve, allow
      ? html`<h1>Linked</h1><p>The plugin goes on by itself. What your character has shows up in the vault within seconds.</p><p><a class="button primary" href="/app/groups/${groupId}">Open the vault</a></p>`
      : html`<h1>Refused</h1><p>The plugin with this code writes nothing. If you did not ask for it, somebody may have mistyped theirs.</p><p><a class="button" href="/app">My groups</a></p>`)
  })
}
