/** A page for what cannot be shown: what happened, and the way back. */
import { html, type Html } from '../static/shared/html.js'
import { layout, type Theme } from './layout.ts'

export interface Problem { readonly title: string, readonly text: string, readonly back?: { readonly href: string, readonly label: string } }

export function problem (theme: Theme, { title, text, back = { href: '/app', label: 'My groups' } }: Problem): Html {
  return layout({
    title: `${title} · Group vault`,
    theme,
    script: 'plain',
    kind: 'narrow',
    content: html`<main id="main" class="single"><div class="card lonely"><h1>${title}</h1><p>${text}</p><p><a class="button primary" href="${back.href}">${back.label}</a></p></div></main>`
  })
}
