/** The page of a group, and of the demo: all of its parts, with the items in it. What comes later (who holds an item, activity, settings) is drawn by static/group.js. */
import { cells, totalsStrip } from '../static/shared/cells.js'
import { chips } from '../static/shared/chips.js'
import { dataBlock, html, type Html } from '../static/shared/html.js'
import { nothing } from '../static/shared/nothing.js'
import { CONTAINERS, SORTS, VIEWS, writeQuery, type PageQuery } from '../static/shared/query.js'
import type { GroupStart } from '../static/shared/types.d.ts'
import { account } from './home.ts'
import { glyphSheet, icon } from './icons.ts'
import { layout, type Theme } from './layout.ts'

export interface GroupPage {
  readonly theme: Theme
  readonly query: PageQuery
  readonly start: GroupStart
  readonly memberCount: number
  readonly maxMembers: number
  /** What its members should know: it is over its limit, a payment failed. */
  readonly warnings: readonly string[]
  /** Null: a visitor of the demo. */
  readonly displayName: string | null
  readonly now: number
}

export function groupPage (page: GroupPage): Html {
  const { theme, query, start, memberCount, maxMembers, displayName, warnings } = page
  const { group, isDemo } = start
  return layout({
    title: `${group.name} · Group vault`,
    theme,
    script: 'group',
    kind: 'wide',
    home: isDemo && displayName === null ? '/' : '/app',
    isPublic: isDemo,
    bar: html`<div class="group-title"><h1>${group.name}</h1><span class="pill" id="member-count" data-max="${maxMembers}" title="players">${memberCount}/${maxMembers}</span><span class="live" id="live" data-state="start" role="status"><i></i><span>connecting</span></span></div>
      <nav class="tabs" aria-label="Parts of the group">${Object.entries(VIEWS).filter(([view]) => !isDemo || view !== 'settings').map(([view, label]) =>
        html`<a href="${writeQuery({ ...query, view: view as PageQuery['view'], item: null })}" data-view="${view}"${view === query.view ? html` aria-current="page"` : ''}>${label}</a>`)}</nav>`,
    actions: html`${isDemo ? html`<a class="button primary" href="${displayName === null ? '/' : '/app'}">${displayName === null ? 'Sign in' : 'My groups'}</a>` : html`<button class="primary" id="invite" type="button">${icon('invite')}<span>Invite</span></button>`}${displayName !== null && account(displayName)}`,
    content: html`${glyphSheet}${dataBlock('start', start)}
    <div id="banners">
      <p class="banner" id="offline" hidden>${icon('warn')}<span></span></p>
      ${warnings.map(text => html`<p class="banner warn">${icon('warn')}<span>${text}</span></p>`)}
      ${isDemo ? html`<p class="banner calm">${icon('vault')}<span>This is the demo group: look at everything, change nothing.</span></p>` : ''}
    </div>
    <main id="main">
      ${vaultView(page)}
      ${emptyView('members', query)}${emptyView('activity', query)}${isDemo ? '' : emptyView('settings', query)}
    </main>
    <aside id="drawer" class="drawer" aria-labelledby="drawer-title" tabindex="-1" hidden></aside>
    <dialog id="dialog" aria-labelledby="dialog-title"></dialog>`
  })
}

function emptyView (view: PageQuery['view'], query: PageQuery): Html {
  return html`<section class="view" id="view-${view}" aria-label="${VIEWS[view]}"${view === query.view ? '' : html` hidden`}><div class="skeleton" aria-hidden="true"><i></i><i></i><i></i></div></section>`
}

function vaultView ({ query, start, now }: GroupPage): Html {
  const { vault } = start
  return html`<section class="view" id="view-vault" aria-label="Vault"${query.view === 'vault' ? '' : html` hidden`}>
    <div class="vault-head"><dl class="totals" id="totals">${totalsStrip(vault.totals)}</dl>${choices(query)}</div>
    ${toolbar(query, vault.members, now)}
    <div class="list-head" aria-hidden="true"><span>Item</span><span>Quantity</span><span>GE</span><span>Alch</span><span>Who has it</span></div>
    <ul class="grid" id="grid" data-layout="${query.layout}" data-sort="${query.sort}" aria-label="Items">${cells(vault.items, { members: vault.members, query })}</ul>
    <div id="grid-end">${vault.nextCursor === null ? '' : html`<button id="more" type="button">Show more</button>`}</div>
    <div id="nothing">${vault.items.length > 0 ? '' : nothing(query, { isDemo: start.isDemo, joinCode: start.group.joinCode })}</div>
  </section>`
}

/** It is a form, so that it works as one where no script runs. */
function toolbar (query: PageQuery, members: GroupStart['vault']['members'], now: number): Html {
  return html`<form class="toolbar" id="toolbar" method="get" role="search">
    <label class="search">${icon('search')}<span class="unseen">Search items</span><input id="q" name="q" type="search" value="${query.q}" maxlength="100" placeholder="Search items" autocomplete="off" spellcheck="false" aria-keyshortcuts="/" title="a|b finds either, &quot;whole name&quot; exactly that, a number an id"><kbd aria-hidden="true">/</kbd></label>
    <div class="chips" id="members" role="group" aria-label="Only of these">${chips(members, query, now)}</div>
  </form>`
}

function select (name: string, label: string, value: string, options: Readonly<Record<string, string>>): Html {
  return html`<label class="choice"><span class="unseen">${label}</span><select name="${name}" form="toolbar">${Object.entries(options).map(([key, text]) => html`<option value="${key}"${key === value ? html` selected` : ''}>${text}</option>`)}</select></label>`
}

/** Of the toolbar's form, beside the totals. */
function choices (query: PageQuery): Html {
  return html`<div class="choices">
    ${select('container', 'Where', query.container, { '': 'Everywhere', ...CONTAINERS })}
    ${select('sort', 'Sort by', query.sort, SORTS)}
    ${select('price', 'Prices', query.price, { stack: 'Stack prices', single: 'Single prices' })}
    <div class="segments" role="group" aria-label="Layout">${(['grid', 'list'] as const).map(layout => html`<button type="button" data-layout="${layout}" aria-pressed="${String(layout === query.layout)}" aria-label="As a ${layout}" title="As a ${layout}">${icon(layout)}</button>`)}</div>
    <noscript><button type="submit" form="toolbar">Show</button></noscript>
  </div>`
}
