/** `/`: what this is, the ways in, and a piece of a real vault to look at. */
import { cells } from '../static/shared/cells.js'
import { html, type Html, type Part } from '../static/shared/html.js'
import { readQuery } from '../static/shared/query.js'
import type { VaultPage } from '../static/shared/types.d.ts'
import { glyphSheet, icon } from './icons.ts'
import { layout, type Theme } from './layout.ts'
import { signIn, type SignInOption } from './sign-in.ts'

export interface Landing {
  readonly theme: Theme
  readonly isSignedIn: boolean
  readonly options: readonly SignInOption[]
  readonly returnTo: string
  readonly failure: string | undefined
  /** Of the demo group; undefined: there is none. */
  readonly sample: VaultPage | undefined
}

const failures: Readonly<Record<string, string>> = {
  denied: 'You did not allow the sign-in, so nothing happened.',
  state: 'The sign-in took too long, or began in another tab. Try it again.',
  exchange: 'The provider did not confirm the sign-in. Try it again in a moment.',
  profile: 'The provider did not say who you are. Try it again, or use another one.'
}

export function landing ({ theme, isSignedIn, options, returnTo, failure, sample }: Landing): Html {
  return layout({
    title: 'Group vault: everything your group owns, on one page',
    theme,
    script: 'plain',
    kind: 'narrow',
    isPublic: true,
    actions: isSignedIn ? html`<a class="button" href="/app">My groups</a>` : html`<a class="button quiet" href="/demo">Demo</a>`,
    content: html`${glyphSheet}<main id="main">
      ${failure === undefined ? '' : html`<p class="banner warn" role="alert">${icon('warn')}<span><b>You are not signed in.</b> ${failures[failure] ?? 'The sign-in did not work. Try it again.'}</span></p>`}
      <section class="hero">
        <div>
          <h1>Everything your group owns, on one page.</h1>
          <p class="lead">Who has the rope? How many sharks are left? Each player’s game reports what they carry and bank; the vault adds it up, live, for the people you share it with.</p>
          ${isSignedIn ? html`<div class="sign-in"><a class="button primary" href="/app">Open my groups</a></div>` : signIn(options, returnTo)}
          <p class="note">${isSignedIn ? '' : 'No password, no e-mail list. '}Or look around first: <a href="/demo">the demo group</a> is filled and alive.</p>
        </div>
        ${sample === undefined ? '' : preview(sample)}
      </section>
      <section class="steps" aria-label="How it works">
        ${step('1', 'Make a group', 'Name it, and hand its code of eight letters to your friends. Nobody else sees anything.')}
        ${step('2', 'Link the game', 'The plugin shows a short code; you confirm it here, once. It can only write what belongs to you.')}
        ${step('3', 'Look it up', 'Search, filter by player or place, see who holds what. Changes show up while you watch.')}
      </section>
      <section class="facts">
        ${fact('Yours alone', 'Only current members see the vault. Who leaves takes everything along, in the same moment.')}
        ${fact('Never backwards', 'Late, repeated and reordered uploads change nothing. What you see is what was last counted.')}
        ${fact('Tell your Discord', 'Drops, deposits and arrivals go to your channel, with retries, once each.')}
        ${fact('Open', html`Everything here is JSON that you can use yourself: <a href="/api/v1/docs">the API</a>.`)}
      </section>
    </main>
    <footer class="foot"><p>Signs and colours are this app’s own; the names of items belong to the owner of the game.</p></footer>`
  })
}

function preview ({ items, members }: VaultPage): Html {
  const query = readQuery(new URLSearchParams())
  return html`<ul class="grid preview" aria-label="From the vault of the demo group">${cells(items, { members, query, base: '/demo' })}</ul>`
}

function step (number: string, title: string, text: string): Html {
  return html`<div class="step"><span class="number" aria-hidden="true">${number}</span><h2>${title}</h2><p>${text}</p></div>`
}

function fact (title: string, text: Part): Html {
  return html`<div><h3>${title}</h3><p>${text}</p></div>`
}
