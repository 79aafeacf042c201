/** `/join/:code`: what somebody was invited to. Opening it joins nothing. */
import { formatCode } from '../../common/secrets.ts'
import { dataBlock, html, type Html, type Part } from '../static/shared/html.js'
import { account, characterField } from './home.ts'
import { layout, type Theme } from './layout.ts'
import { signIn, type SignInOption } from './sign-in.ts'

export interface Invitation { readonly groupId: string, readonly name: string, readonly memberCount: number, readonly maxMembers: number, readonly isMember: boolean }

export interface Join {
  readonly theme: Theme
  /** In the form in which it is kept. */
  readonly code: string
  readonly invitation: Invitation
  /** Null: not signed in. */
  readonly me: { readonly displayName: string, readonly csrfToken: string } | null
  readonly options: readonly SignInOption[]
}

export function join ({ theme, code, invitation, me, options }: Join): Html {
  const { name, memberCount, maxMembers } = invitation
  return layout({
    title: `Join ${name} · Group vault`,
    theme,
    script: 'home',
    kind: 'narrow',
    home: me === null ? '/' : '/app',
    actions: me && account(me.displayName),
    content: html`${me && dataBlock('start', { csrfToken: me.csrfToken })}<main id="main" class="single"><div class="card lonely">
      <p class="over">You are invited to</p>
      <h1>${name}</h1>
      <p class="muted">${memberCount} of ${maxMembers} players · code <span class="code">${formatCode(code)}</span></p>
      ${wayIn({ code, invitation, me, options })}
    </div></main>`
  })
}

function wayIn ({ code, invitation, me, options }: Pick<Join, 'code' | 'invitation' | 'me' | 'options'>): Part {
  if (invitation.isMember) return html`<p>You are in this group already.</p><p><a class="button primary" href="/app/groups/${invitation.groupId}">Open its vault</a></p>`
  if (invitation.memberCount >= invitation.maxMembers) return html`<p><b>The group is full.</b> Ask its owner to make room.</p>`
  if (me === null) return html`<p>Sign in, and you come back here.</p>${signIn(options, `/join/${formatCode(code)}`)}`
  return html`<form id="join"><input type="hidden" name="code" value="${code}">${characterField}<p class="error" role="alert" hidden></p><button class="primary" type="submit">Join as ${me.displayName}</button></form>
    <p class="note">The members of the group see what your plugin reports, as soon as you link one. You can leave at any time.</p>`
}
