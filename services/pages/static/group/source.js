/** The routes of one group. The demo group has the same, for everybody, as far as they only read. */
import { change, get } from '../api.js'

/** @import { ActivityPage, Billing, ChangesSince, Delivery, Device, Group, ItemBreakdown, MemberContainers, RosterMember, VaultPage, Webhook } from '../shared/types.d.ts' */
/** @import { PageQuery } from '../shared/query.js' */

/** So many items are asked for at once. */
const MOST = 200

/** @typedef {ReturnType<typeof groupSource>} Source */

/** @param {string} groupId */
export function groupSource (groupId) {
  const path = `/groups/${groupId}`

  /** @param {PageQuery} query @param {string | null} [cursor] @returns {Promise<VaultPage>} */
  const vault = async (query, cursor = null) => await get(`${path}/vault?${vaultSearch(query, cursor)}`)

  return {
    vault,

    /** As many as are shown already. @param {PageQuery} query @param {number} count @returns {Promise<VaultPage>} */
    async vaultTo (query, count) {
      let page = await vault(query)
      while (page.nextCursor !== null && page.items.length < count) {
        const next = await vault(query, page.nextCursor)
        page = { ...next, items: [...page.items, ...next.items] }
      }
      return page
    },

    /** @param {number} itemId @returns {Promise<ItemBreakdown>} */
    item: async itemId => await get(`${path}/vault/items/${itemId}`),

    /** @param {string} memberId @returns {Promise<MemberContainers>} */
    containers: async memberId => await get(`${path}/members/${memberId}/containers`),

    /** @param {number} since @returns {Promise<ChangesSince>} */
    changes: async since => await get(`${path}/vault/changes?since=${since}`),

    /** @param {string} type '': all @param {string | null} [cursor] @returns {Promise<ActivityPage>} */
    activity: async (type, cursor = null) => await get(`${path}/activity?limit=50${type === '' ? '' : `&type=${type}`}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`),

    /** @param {readonly number[]} ids @returns {Promise<{ items: ReadonlyArray<{ itemId: number, name: string }> }>} */
    names: async ids => await get(`/catalog/items?limit=200&ids=${ids.slice(0, MOST).join(',')}`),

    /** @returns {Promise<Group>} */
    group: async () => await get(path),

    /** @returns {Promise<{ members: RosterMember[] }>} */
    roster: async () => await get(`${path}/roster`),

    /** @returns {Promise<{ tokens: Device[] }>} */
    devices: async () => await get(`${path}/tokens`),

    /** @returns {Promise<{ webhooks: Webhook[] }>} */
    webhooks: async () => await get(`${path}/webhooks`),

    /** @param {string} webhookId @returns {Promise<{ deliveries: Delivery[] }>} */
    deliveries: async webhookId => await get(`${path}/webhooks/${webhookId}/deliveries?limit=20`),

    /** @returns {Promise<Billing>} */
    billing: async () => await get(`/billing/groups/${groupId}`),

    /** What is changed of the group. @template T @param {'POST' | 'PUT' | 'PATCH' | 'DELETE'} method @param {string} part @param {object} [body] @returns {Promise<T>} */
    change: async (method, part, body) => await change(method, path + part, body),

    /** @template T @param {string} part @param {object} [body] @returns {Promise<T>} */
    pay: async (part, body) => await change('POST', `/billing/groups/${groupId}${part}`, body, { 'idempotency-key': crypto.randomUUID() })
  }
}

/** @param {PageQuery} query @param {string | null} cursor */
function vaultSearch ({ q, members, container, sort, order, price }, cursor) {
  const search = new URLSearchParams({ sort, priceMode: price, limit: String(MOST) })
  if (q !== '') search.set('q', q)
  for (const member of members) search.append('member', member)
  if (container !== '') search.set('container', container)
  if (order !== '') search.set('order', order)
  if (cursor !== null) search.set('cursor', cursor)
  return search
}
