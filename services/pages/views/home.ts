/** `/app`: my groups, a new one, and one to join. */
import { agoOf } from '../static/shared/format.js'
import { dataBlock, html, type Html } from '../static/shared/html.js'
import { icon } from './icons.ts'
import { layout, type Theme } from './layout.ts'

export interface HomeGroup { readonly id: string, readonly name: string, readonly role: string, readonly memberCount: number, readonly maxMembers: number, readonly lastSyncAt: string | null }

export interface Home { readonly theme: Theme, readonly displayName: string, readonly csrfToken: string, readonly groups: readonly HomeGroup[], readonly now: number }

export function home ({ theme, displayName, csrfToken, groups, now }: Home): Html {
  return layout({
    title: 'My groups · Group vault',
    theme,
    script: 'home',
    kind: 'narrow',
    home: '/app',
    actions: account(displayName),
    content: html`${dataBlock('start', { csrfToken })}<main id="main">
      <h1>My groups</h1>
      ${groups.length === 0 ? html`<p class="lead">You are in no group yet. Make one, or join with the code that a friend gave you.</p>` : html`<ul class="group-list">${groups.map(group => groupCard(group, now))}</ul>`}
      <div class="two">
        <form class="card" id="create" aria-labelledby="create-title">
          <h2 id="create-title">Make a group</h2>
          <label>Name of the group<input name="name" required maxlength="30" autocomplete="off" placeholder="Five of us"></label>
          ${characterField}
          <p class="error" role="alert" hidden></p>
          <button class="primary" type="submit">Make the group</button>
        </form>
        <form class="card" id="join" aria-labelledby="join-title">
          <h2 id="join-title">Join a group</h2>
          <label>Its code<input class="code" name="code" required minlength="8" maxlength="12" autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="XXXX-XXXX"></label>
          ${characterField}
          <p class="error" role="alert" hidden></p>
          <button type="submit">Join</button>
        </form>
      </div>
      <p class="note">${icon('plug')} A plugin shows you a code? <a href="/app/link">Link it here.</a></p>
    </main>`
  })
}

export const characterField = html`<label>Your character <span class="optional">if you like</span><input name="characterName" maxlength="12" autocomplete="off" spellcheck="false"></label>`

/** Whose session it is, and the way out of it. */
export function account (displayName: string): Html {
  return html`<details class="menu"><summary class="button quiet" aria-label="Account of ${displayName}"><span class="initial" aria-hidden="true">${displayName.slice(0, 1).toUpperCase()}</span></summary>
    <div class="menu-items"><p>Signed in as <b>${displayName}</b></p><a href="/app">My groups</a><a href="/app/link">Link a plugin</a><a href="/api/v1/docs">API</a><button class="plain" id="logout" type="button">Sign out</button></div></details>`
}

function groupCard ({ id, name, role, memberCount, maxMembers, lastSyncAt }: HomeGroup, now: number): Html {
  return html`<li><a class="card group-card" href="/app/groups/${id}"><b>${name}</b><span>${memberCount}/${maxMembers} players · ${role}</span><span class="muted">${lastSyncAt === null ? 'nothing synced yet' : `synced ${agoOf(lastSyncAt, now)}`}</span></a></li>`
}
