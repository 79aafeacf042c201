/** What every page is in: head, theme, the bar above. */
import { asset } from '../assets.ts'
import { html, type Html, type Part } from '../static/shared/html.js'
import { icon } from './icons.ts'

export type Theme = 'light' | 'dark' | 'system'

export interface Frame {
  readonly title: string
  readonly theme: Theme
  /** The name of the module of the page in static/, without `.js`. */
  readonly script: string
  /** For the style of the page as a whole. */
  readonly kind: 'wide' | 'narrow'
  /** In the bar, between the name of the app and the buttons. */
  readonly bar?: Part
  /** In the bar, at its end. */
  readonly actions?: Part
  readonly home?: string
  readonly content: Part
  /** May others list it? */
  readonly isPublic?: boolean
}

export function layout ({ title, theme, script, kind, bar, actions, home = '/', content, isPublic = false }: Frame): Html {
  return html`<!doctype html>
<html lang="en" data-theme="${theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<meta name="color-scheme" content="light dark">
${isPublic ? '' : html`<meta name="robots" content="noindex">`}
<link rel="icon" href="${asset('icon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${asset('base.css')}">
<link rel="stylesheet" href="${asset('pages.css')}">
<script type="module" src="${asset(`${script}.js`)}"></script>
</head>
<body class="${kind}">
<a class="skip" href="#main">Skip to the content</a>
<header class="bar">
  <a class="brand" href="${home}" title="Home">${icon('vault')}<span>Group vault</span></a>
  ${bar}
  <div class="actions">
    ${actions}
    <button class="quiet round" id="theme" type="button" aria-label="Theme: ${theme}" title="Theme: ${theme}">${icon('theme')}</button>
  </div>
</header>
${content}
<div id="toasts" role="status" aria-live="polite"></div>
</body>
</html>
`
}
