/** `/app/link`: the code that a plugin shows is typed in; then what asks is shown, before anything is allowed. */
import { formatCode } from '../../common/secrets.ts'
import { dataBlock, html, type Html } from '../static/shared/html.js'
import { account } from './home.ts'
import { layout, type Theme } from './layout.ts'

/** A plugin that waits. */
export interface Waiting { readonly label: string, readonly pluginVersion: string }

export interface Link {
  readonly theme: Theme
  readonly displayName: string
  readonly csrfToken: string
  readonly groups: ReadonlyArray<{ readonly id: string, readonly name: string }>
  /** What was typed; undefined: nothing yet. */
  readonly typed: string | undefined
  /** In the form in which it is kept. */
  readonly code: string | undefined
  /** Undefined: no plugin waits with this code. */
  readonly waiting: Waiting | undefined
}

export function link (page: Link): Html {
  const { theme, displayName, csrfToken, typed, code, waiting, groups } = page
  return layout({
    title: 'Link a plugin · Group vault',
    theme,
    script: 'link',
    kind: 'narrow',
    home: '/app',
    actions: account(displayName),
    content: html`${dataBlock('start', { csrfToken })}<main id="main" class="single">
      ${code !== undefined && waiting !== undefined ? confirm(code, waiting, groups) : enter(typed)}
    </main>`
  })
}

function enter (typed: string | undefined): Html {
  return html`<form class="card lonely" method="get" action="/app/link">
    <h1>Link a plugin</h1>
    <p>In the game, open the plugin and choose <b>Link</b>. It shows a code of eight letters.</p>
    <label>The code<input class="code big" name="code" required minlength="8" maxlength="12" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" placeholder="XXXX-XXXX" value="${typed}"${typed === undefined ? '' : html` aria-invalid="true" aria-describedby="wrong"`}></label>
    ${typed === undefined ? '' : html`<p class="error" id="wrong" role="alert">No plugin waits with this code. It is good for ten minutes, and once.</p>`}
    <button class="primary" type="submit">Go on</button>
  </form>`
}

function confirm (code: string, { label, pluginVersion }: Waiting, groups: Link['groups']): Html {
  return html`<form class="card lonely" id="approve">
    <h1>Is this your plugin?</h1>
    <dl class="pairs"><dt>Code</dt><dd class="code">${formatCode(code)}</dd><dt>Device</dt><dd>${label}</dd><dt>Version</dt><dd>${pluginVersion}</dd></dl>
    <input type="hidden" name="userCode" value="${code}">
    ${groups.length === 0
      ? html`<p>You are in no group yet. <a href="/app">Make or join one first</a>, then come back.</p>`
      : html`<label>It writes into<select name="groupId">${groups.map(({ id, name }) => html`<option value="${id}">${name}</option>`)}</select></label>
    <p class="note">It may write what your character has, and nothing else. You can revoke it in the group’s settings.</p>
    <p class="error" role="alert" hidden></p>
    <div class="row"><button class="primary" type="submit" name="allow" value="true">Allow</button><button type="submit" name="allow" value="false">It is not mine</button></div>`}
  </form>`
}
