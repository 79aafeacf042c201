/**
 * The state of a group's page, as the query of its address: what is searched, who is chosen, which item is open. The same address shows the same again, with and without scripts.
 * What an address says and nobody knows is left out. For the server and the browser.
 */

export const SORTS = /** @type {const} */ ({ quantity: 'Quantity', ge: 'GE value', alch: 'Alch value', name: 'Name' })
export const VIEWS = /** @type {const} */ ({ vault: 'Vault', members: 'Members', activity: 'Activity', settings: 'Settings' })
export const CONTAINERS = /** @type {const} */ ({
  bank: 'Bank', inventory: 'Inventory', equipment: 'Equipment', shared: 'Shared storage', rune_pouch: 'Rune pouch', quiver: 'Quiver', seed_vault: 'Seed vault', potion_storage: 'Potion storage'
})

/** What somebody chose of a table. @template {object} T @typedef {keyof T & string} KeyOf */

/**
 * @typedef {object} PageQuery
 * @property {KeyOf<typeof VIEWS>} view
 * @property {string} q
 * @property {readonly string[]} members ids; none: all
 * @property {KeyOf<typeof CONTAINERS> | ''} container
 * @property {KeyOf<typeof SORTS>} sort
 * @property {'asc' | 'desc' | ''} order '': the one that fits the sort
 * @property {'stack' | 'single'} price
 * @property {'grid' | 'list'} layout
 * @property {number | null} item the open one
 * @property {string} who the member whose containers are shown
 * @property {string} type of activity
 */

/** @param {URLSearchParams} search @returns {PageQuery} */
export function readQuery (search) {
  const item = Number(search.get('item'))
  return {
    view: oneOf(VIEWS, search.get('view')) ?? 'vault',
    q: (search.get('q') ?? '').slice(0, 100),
    members: search.getAll('member').flatMap(text => text.split(',')).filter(id => /^mem_[0-9a-f-]{36}$/.test(id)).slice(0, 60),
    container: oneOf(CONTAINERS, search.get('container')) ?? '',
    sort: oneOf(SORTS, search.get('sort')) ?? 'quantity',
    order: oneOf({ asc: '', desc: '' }, search.get('order')) ?? '',
    price: search.get('price') === 'single' ? 'single' : 'stack',
    layout: search.get('layout') === 'list' ? 'list' : 'grid',
    item: Number.isInteger(item) && item > 0 && item < 2 ** 31 ? item : null,
    who: /^mem_[0-9a-f-]{36}$/.test(search.get('who') ?? '') ? search.get('who') ?? '' : '',
    type: (search.get('type') ?? '').replace(/[^a-z.]/g, '').slice(0, 30)
  }
}

/** @template {object} T @param {T} table @param {string | null} key @returns {KeyOf<T> | undefined} */
function oneOf (table, key) {
  return key !== null && Object.hasOwn(table, key) ? /** @type {KeyOf<T>} */ (key) : undefined
}

const DEFAULTS = readQuery(new URLSearchParams())

/** `?q=rune&sort=ge`, or `?` alone; without what is the default. @param {PageQuery} query */
export function writeQuery ({ members, item, ...texts }) {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(texts)) if (value !== DEFAULTS[/** @type {keyof typeof texts} */ (name)]) search.set(name, String(value))
  if (members.length > 0) search.set('member', members.join(','))
  if (item !== null) search.set('item', String(item))
  return `?${search.toString().replaceAll('%2C', ',')}`
}

/** Does it show less than everything? @param {PageQuery} query */
export function isFiltered ({ q, members, container }) {
  return q !== '' || members.length > 0 || container !== ''
}
