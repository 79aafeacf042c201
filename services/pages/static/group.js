/**
 * The page of a group. It begins with what the server drew, and from then on shows what its address says (shared/query.js) of what the routes of the group answer.
 *
 * What is kept true: the address is the state of everything that one can choose; going back goes back. Of two answers to the same question the later asked one is shown. What is
 * shown is as of `vault.version`, and everything after that is asked for, never guessed from events.
 */
import './plain.js'
import { ApiError, readStart } from './api.js'
import { byId, explain, fill, toast } from './dom.js'
import { failActivity, moreActivity, openActivity, refreshActivity } from './group/activity.js'
import { closeDrawer, drawDrawer, failDrawer, isDrawerOpen, openDrawer } from './group/drawer.js'
import { appendCells, changeGrid, drawGrid, focusGrid, markOpen, moveFocus } from './group/grid.js'
import { openInvitation } from './group/invite.js'
import { showState, watch } from './group/live.js'
import { drawMember, peopleBar } from './group/members.js'
import { openSettings } from './group/settings.js'
import { groupSource } from './group/source.js'
import { chips } from './shared/chips.js'
import { ageOf, agoOf, fullTime } from './shared/format.js'
import { html } from './shared/html.js'
import { readQuery, VIEWS, writeQuery } from './shared/query.js'

/** @import { GroupStart } from './shared/types.d.ts' */
/** @import { PageQuery } from './shared/query.js' */

/** @type {GroupStart} */
const start = readStart()
const source = groupSource(start.group.id)
let query = readQuery(new URLSearchParams(location.search))
let { vault } = start
/** When the vault was read last, as the browser's clock has it. */
let readAt = Date.now()
/** The last question about items, about one item, and about one member. */
const asked = { vault: 0, item: 0, member: 0 }

// --- what is shown ---------------------------------------------------------------------------------------------------------

/** @param {Partial<PageQuery>} patch @param {{ replace?: boolean }} [how] `replace`: no step to go back to */
function go (patch, { replace = false } = {}) {
  const before = query
  query = { ...query, ...patch }
  const address = writeQuery(query)
  if (replace) history.replaceState(null, '', address)
  else if (address !== writeQuery(before)) history.pushState(null, '', address)
  show(before)
}

window.addEventListener('popstate', () => {
  const before = query
  query = readQuery(new URLSearchParams(location.search))
  show(before)
})

/** @param {PageQuery} before */
function show (before) {
  const has = (/** @type {Array<keyof PageQuery>} */ ...names) => names.some(name => String(before[name]) !== String(query[name]))
  if (has('view')) showView()
  if (has('q', 'members', 'container', 'sort', 'order', 'price')) { showChoices(); void loadVault() } else if (has('layout')) { showChoices(); drawGrid(vault, query, start) }
  if (has('item')) showItem()
  if (has('view', 'who', 'type')) showPart()
}

function showView () {
  for (const view of Object.keys(VIEWS)) {
    const section = document.getElementById(`view-${view}`)
    if (section !== null) section.hidden = view !== query.view
  }
  for (const tab of document.querySelectorAll('[data-view]')) {
    if (tab instanceof HTMLElement && tab.dataset.view === query.view) tab.setAttribute('aria-current', 'page')
    else tab.removeAttribute('aria-current')
  }
  window.scrollTo(0, 0)
}

/** The toolbar as the address has it. */
function showChoices () {
  const search = /** @type {HTMLInputElement} */ (byId('q'))
  if (search.value !== query.q && document.activeElement !== search) search.value = query.q
  for (const box of document.querySelectorAll('#members input')) if (box instanceof HTMLInputElement) box.checked = query.members.includes(box.value)
  for (const select of document.querySelectorAll('.choices select')) if (select instanceof HTMLSelectElement) select.value = query[/** @type {'sort' | 'container' | 'price'} */ (select.name)]
  for (const button of document.querySelectorAll('.segments button')) if (button instanceof HTMLElement) button.setAttribute('aria-pressed', String(button.dataset.layout === query.layout))
}

async function loadVault () {
  const turn = ++asked.vault
  byId('grid').setAttribute('aria-busy', 'true')
  try {
    const page = await source.vault(query)
    if (turn !== asked.vault) return
    vault = page
    isRead()
    drawGrid(vault, query, start)
  } catch (error) {
    if (turn === asked.vault) fail(error)
  } finally {
    if (turn === asked.vault) byId('grid').removeAttribute('aria-busy')
  }
}

async function loadMore () {
  const turn = asked.vault
  try {
    const page = await source.vault(query, vault.nextCursor)
    if (turn !== asked.vault) return
    vault = { ...vault, items: [...vault.items, ...page.items], nextCursor: page.nextCursor }
    appendCells(page.items, vault, query)
  } catch (error) {
    fail(error)
  }
}

/** What had the focus before the drawer took it. @type {string | undefined} */
let opener

function showItem () {
  markOpen(query.item)
  const { item: itemId } = query
  if (itemId === null) {
    closeDrawer()
    if (opener !== undefined) document.getElementById(opener)?.focus({ preventScroll: true })
    opener = undefined
    return
  }
  const active = document.activeElement
  if (!isDrawerOpen() && active?.id.startsWith('i-') === true) opener = active.id
  openDrawer(vault.items.find(item => item.itemId === itemId) ?? { itemId, name: `Item #${itemId}` })
  void loadItem(itemId)
}

/** @param {number} itemId */
async function loadItem (itemId) {
  const turn = ++asked.item
  try {
    const breakdown = await source.item(itemId)
    if (turn === asked.item && query.item === itemId) drawDrawer(breakdown, vault.members, writeQuery({ ...query, view: 'members', item: null }))
  } catch (error) {
    if (turn === asked.item) failDrawer(error)
  }
}

/** The other parts of the page, when they are looked at. */
function showPart () {
  if (query.view === 'members') void loadMember()
  if (query.view === 'activity') void openActivity(source, query.type, vault.members).catch(failActivity)
  if (query.view === 'settings' && start.me !== null) void openSettings({ source, groupId: start.group.id, me: start.me, onChange: () => { void catchUp() } })
}

async function loadMember () {
  const who = query.who === '' ? vault.members[0]?.memberId : query.who
  if (who === undefined) return
  const turn = ++asked.member
  try {
    const answer = await source.containers(who)
    if (turn === asked.member) drawMember(answer, vault.members, { ...query, who })
  } catch (error) {
    if (turn === asked.member) fill(byId('view-members'), html`${peopleBar(vault.members, query)}<p class="muted">${explain(error)}</p>`)
  }
}

// --- what is new -----------------------------------------------------------------------------------------------------------

/** One at a time; asked for meanwhile, it is done once more. */
let catching = /** @type {'no' | 'yes' | 'again'} */ ('no')

async function catchUp () {
  if (catching !== 'no') { catching = 'again'; return }
  do {
    catching = 'yes'
    await catchUpOnce().catch(fail)
  } while (/** @type {string} */ (catching) === 'again')
  catching = 'no'
}

async function catchUpOnce () {
  const { changes, resync, to } = await source.changes(vault.version)
  isOnline()
  if (!resync && changes.length === 0) return
  await readAgain({ flash: !resync })
  if (vault.version < to) vault = { ...vault, version: to }
  if (query.view === 'members' && (resync || changes.some(({ memberId }) => memberId === null || memberId === (query.who || vault.members[0]?.memberId)))) await loadMember()
  if (changes.some(({ kind }) => kind !== 'container') && query.view === 'settings') showPart()
}

/** What is shown, as it is now. @param {{ flash: boolean }} how */
async function readAgain ({ flash }) {
  const turn = ++asked.vault
  const page = await source.vaultTo(query, vault.items.length)
  if (turn !== asked.vault) return
  const before = vault
  vault = page
  isRead()
  if (flash) changeGrid(before, page, query, start)
  else drawGrid(page, query, start)
  drawMembers()
  if (query.item !== null) void loadItem(query.item)
}

/** Who is new, who is gone, and when they synced. */
function drawMembers () {
  const { activeElement } = document
  const focused = activeElement instanceof HTMLInputElement && activeElement.name === 'member' ? activeElement.value : undefined
  fill(byId('members'), chips(vault.members, query, Date.now()))
  if (focused !== undefined) for (const box of document.querySelectorAll('#members input')) if (box instanceof HTMLInputElement && box.value === focused) box.focus()
  const count = byId('member-count')
  count.textContent = `${vault.members.filter(({ kind }) => kind === 'player').length}/${count.dataset.max}`
}

function isRead () {
  readAt = Date.now()
  isOnline()
}

function isOnline () {
  const banner = byId('offline')
  if (!banner.hidden && !start.live) showState('polling')
  banner.hidden = true
}

/** @param {unknown} error */
function fail (error) {
  if (!(error instanceof ApiError)) throw error
  if (error.code === 'OFFLINE') showOffline()
  else if (error.status === 401) end('Your session is over', 'Sign in again to see the group.', '/')
  else if (error.status === 404) end('You are not in this group any more', 'You were removed from it, or it was deleted. What was yours in it is gone from its vault.', '/app')
  else toast(error.message)
}

function showOffline () {
  const banner = byId('offline')
  const [text] = banner.getElementsByTagName('span')
  const time = new Date(readAt).toISOString()
  if (text !== undefined) text.textContent = `You are offline. This is as of ${fullTime(time)}, ${agoOf(time, Date.now())}.`
  banner.hidden = false
  showState('offline')
}

/** @param {string} title @param {string} text @param {string} href */
function end (title, text, href) {
  live.end()
  closeDrawer()
  showState('offline', 'ended')
  fill(byId('main'), html`<div class="nothing"><h2>${title}</h2><p>${text}</p><p><a class="button primary" href="${href}">Go on</a></p></div>`)
}

/** @param {string} kind @param {Record<string, unknown>} data */
function onNews (kind, data) {
  switch (kind) {
    case 'resync': case 'catalog': readAgain({ flash: false }).catch(fail); break
    case 'activity': if (query.view === 'activity') refreshActivity(source, vault.members).catch(fail); break
    case 'billing': if (query.view === 'settings') showPart(); break
    case 'presence': break
    case 'lost': showOffline(); break
    case 'back': isOnline(); break
    case 'bye': void catchUp(); break
    case 'poll':
      if (query.view === 'activity') refreshActivity(source, vault.members).catch(fail)
      void catchUp()
      break
    default: if (data.version === undefined || Number(data.version) > vault.version) void catchUp()
  }
}

// --- what is done ----------------------------------------------------------------------------------------------------------

const toolbar = /** @type {HTMLFormElement} */ (byId('toolbar'))

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing

function choose () {
  const form = new FormData(toolbar)
  const text = (/** @type {string} */ name) => form.getAll(name).map(String).join()
  go(readPart({ q: text('q'), members: form.getAll('member').map(String), container: text('container'), sort: text('sort'), price: text('price') }), { replace: true })
}

/** @param {{ q: string, members: string[], container: string, sort: string, price: string }} chosen */
function readPart ({ members, ...texts }) {
  const { q, container, sort, price, members: ids } = readQuery(new URLSearchParams({ ...texts, member: members.join(',') }))
  return { q, container, sort, price, members: ids }
}

toolbar.addEventListener('submit', event => { event.preventDefault(); choose() })
byId('view-vault').addEventListener('change', choose)
toolbar.addEventListener('input', ({ target }) => {
  if (!(target instanceof HTMLInputElement) || target.type !== 'search') return
  clearTimeout(typing)
  typing = setTimeout(choose, 140)
})

document.addEventListener('click', event => {
  const { target, metaKey, ctrlKey, shiftKey } = event
  if (!(target instanceof Element)) return
  if (target.closest('[data-close]') !== null) { go({ item: null }); return }
  if (target.closest('#more') !== null) { void loadMore(); return }
  if (target.closest('[data-more]') !== null) { moreActivity(source, vault.members).catch(fail); return }
  if (target.closest('#invite') !== null) { openInvitation(source, start); return }
  const layout = target.closest('button[data-layout]')
  if (layout instanceof HTMLElement) { go({ layout: layout.dataset.layout === 'list' ? 'list' : 'grid' }, { replace: true }); return }
  // links say where they lead; what is in this page needs no new one
  const link = target.closest('a[data-view], a[data-item], a[data-who], a[data-reset]')
  if (!(link instanceof HTMLAnchorElement) || metaKey || ctrlKey || shiftKey) return
  event.preventDefault()
  const { view, item, who } = link.dataset
  if (view !== undefined) go({ view: readQuery(new URLSearchParams({ view })).view, item: null })
  else if (item !== undefined) go({ item: Number(item) })
  else if (who !== undefined) go({ view: 'members', who, item: null })
  else reset()
})

function reset () {
  const search = /** @type {HTMLInputElement} */ (byId('q'))
  search.value = ''
  go({ q: '', members: [], container: '' })
}

byId('view-activity').addEventListener('change', ({ target }) => { if (target instanceof HTMLSelectElement) go({ type: target.value }) })

document.addEventListener('keydown', event => {
  const { key, target, metaKey, ctrlKey, altKey } = event
  if (metaKey || ctrlKey || altKey || document.querySelector('dialog[open]') !== null) return
  const isTyping = target instanceof HTMLElement && target.closest('input:not([type="checkbox"]), select, textarea') !== null
  if (key === 'Escape' && query.item !== null) go({ item: null })
  else if (key === 'Escape' && target === byId('q')) { reset(); byId('q').blur() }
  else if (isTyping && key === 'ArrowDown' && target === byId('q')) { event.preventDefault(); focusGrid() }
  else if (!isTyping && key === '/') {
    event.preventDefault()
    if (query.view !== 'vault') go({ view: 'vault' })
    byId('q').focus()
  } else if (!isTyping) moveFocus(event)
})

// ages go on by themselves
setInterval(drawAges, 30_000)

function drawAges () {
  for (const { memberId, lastSyncAt } of vault.members) {
    const age = document.querySelector(`[data-age="${memberId}"]`)
    if (age !== null && lastSyncAt !== null) age.textContent = ageOf(lastSyncAt, Date.now())
  }
}

const live = watch({ url: start.live ? () => `/api/v1/web/groups/${start.group.id}/events?since=${vault.version}` : null, onNews })
showPart()
if (query.item !== null) showItem()
