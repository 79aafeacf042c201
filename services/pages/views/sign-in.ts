/** The ways to sign in, as links; each comes back to where it began. */
import { html, type Html } from '../static/shared/html.js'

export interface SignInOption { readonly id: string, readonly label: string }

export function signIn (options: readonly SignInOption[], returnTo: string): Html {
  if (options.length === 0) return html`<p class="note">Nobody can sign in here yet: whoever runs this app has to set a provider (<code>VAULT_OAUTH_…</code>).</p>`
  return html`<div class="sign-in">${options.map(({ id, label }, i) =>
    html`<a class="button${i === 0 ? ' primary' : ''}" href="/api/v1/auth/${id}/start?returnTo=${encodeURIComponent(returnTo)}">${label}</a>`)}</div>`
}
