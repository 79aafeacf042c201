/** A vault is what its members have together, whatever is asked of it: compared with a reckoning that knows no database. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { VaultPage } from '../../../services/vault/schema.ts'
import { engines } from '../../helper/db.ts'
import { naiveVault, putContainers, type NaiveItem, type NaiveQuery, type NaiveRow, type PutContainer } from './vault-holdings.ts'
import { startWorld, type Answer, type Person, type World } from './world.ts'

const catalog: readonly NaiveItem[] = [
  { itemId: 995, name: 'Coins', alch: 0 },
  { itemId: 4, name: 'Rune scimitar', alch: 15_360, ge: 15_000 },
  { itemId: 5, name: 'Rune sword', alch: 12_480 },
  { itemId: 6, name: 'rune Sword (broken)', ge: 7 },
  { itemId: 7, name: 'Zamorak\'s 100% "ale"', alch: 2 ** 31 - 1, ge: 2 ** 31 - 1 },
  { itemId: 8, name: 'Äther_stone', alch: 15_360, ge: 15_000 },
  { itemId: 13204, name: 'Platinum token', ge: 900 }
]

async function putCatalog ({ db, clock }: World, items: readonly NaiveItem[]): Promise<void> {
  await db.tx(async () => {
    await db.prepare(`INSERT INTO catalog_snapshots (id, source, content_hash, item_count, status, note, created_by, created_at) VALUES ('cat_test', 'test', '', ?, 'ready', '', 'test', 0)`).run(items.length)
    for (const { itemId, name, alch, ge } of items) {
      await db.prepare(`INSERT INTO catalog_items (snapshot_id, item_id, name, name_norm, examine, members, value, high_alch, icon_key, tradeable) VALUES ('cat_test', ?, ?, ?, '', 0, 0, ?, ?, 1)`)
        .run(itemId, name, name.toLowerCase(), alch ?? null, `icon-${itemId}`)
      await db.prepare('DELETE FROM catalog_prices WHERE item_id = ?').run(itemId)
      if (ge !== undefined) await db.prepare('INSERT INTO catalog_prices (item_id, high, low, fetched_at) VALUES (?, ?, ?, ?)').run(itemId, ge + 1, ge, clock.now)
    }
    await db.prepare('DELETE FROM catalog_active').run()
    await db.prepare(`INSERT INTO catalog_active (id, snapshot_id, version, changed_at, changed_by, reason) VALUES (1, 'cat_test', 100, 0, 'test', '')`).run()
    await db.prepare(`INSERT INTO app_meta (key, value) VALUES ('catalog_prices', 'test') ON CONFLICT (key) DO UPDATE SET value = excluded.value`).run()
  })
}

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    await putCatalog(world, catalog)
    await t.test('vault = recomputation, for every query, page by page', async t => { await checkProperty(t, world) })
    await t.test('one item, one member, what changed since', async t => { await checkDetails(t, world) })
    await t.test('who has the answer already gets 304, until something of it is another', async t => { await checkEtag(t, world) })
    await t.test('members only; the demo group for everybody', async t => { await checkAccess(t, world) })
    await t.test('what a page begins with', async t => { await checkBootstrap(t, world) })
    await t.test('what cannot be asked', async t => { await checkBadQueries(t, world) })
  })
}

const itemIds = [0, 3, ...catalog.map(({ itemId }) => itemId), 30_000]
const stack = fc.tuple(fc.constantFrom(...itemIds), fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(2 ** 31 - 1)))
const contentOf = fc.uniqueArray(stack, { selector: ([itemId]) => itemId, maxLength: 10 })
const names = ['inventory', 'bank', 'potion_storage', 'shared'] as const
const holdings = fc.array(fc.record({ who: fc.nat(2), container: fc.constantFrom(...names), items: contentOf, approximate: fc.boolean() }), { maxLength: 8 })
const queries = fc.record({
  q: fc.constantFrom('', 'rune', 'RUNE sw', '"rune sword"', '4', '995|scim', ' | ', 'zamorak’s', '%', '_', '"ale"', 'item #3', 'äther|"Coins"', 'nothing', '04'),
  member: fc.subarray([0, 1, 2]),
  container: fc.subarray([...names]),
  sort: fc.constantFrom('quantity', 'ge', 'alch', 'name'),
  order: fc.constantFrom('asc', 'desc'),
  priceMode: fc.constantFrom('stack', 'single'),
  limit: fc.constantFrom(1, 2, 3, 50)
}, { requiredKeys: ['limit'] })

async function checkProperty (t: Test, world: World): Promise<void> {
  const [ann, bob] = [await world.person('Ann'), await world.person('Bob')]
  const { groupId, memberId } = await world.group(ann)
  const members = [memberId, await world.join(bob, { groupId }), await world.sharedMember({ groupId })]
  const all = members.flatMap(memberId => names.map(container => ({ memberId, container, items: [] })))
  await fc.assert(fc.asyncProperty(holdings, fc.array(queries, { minLength: 1, maxLength: 3 }), async (held, asked) => {
    const contents = held.flatMap(({ who, ...rest }) => members[who] === undefined ? [] : [{ memberId: members[who], ...rest }])
    const put = new Map([...all, ...contents].map(content => [`${content.memberId} ${content.container}`, content]))
    const version = await putContainers(world, groupId, [...put.values()])
    for (const { limit, member, ...query } of asked) {
      const complete: NaiveQuery = { ...query, ...(member && { member: member.map(who => members[who] ?? '') }) }
      const expected = naiveVault([...put.values()].map(content => ({ groupId, ...content })), catalog, complete)
      await checkPages(t, world, ann, { groupId, version, limit, query: complete, expected })
    }
  }), { numRuns: 25 })
}

interface Check { readonly groupId: string, readonly version: number, readonly limit: number, readonly query: NaiveQuery, readonly expected: ReturnType<typeof naiveVault> }

/** No answer may differ, so nothing is counted as passed one by one. */
async function checkPages (t: Test, world: World, by: Person, { groupId, version, limit, query, expected }: Check): Promise<void> {
  const rows: NaiveRow[] = []
  let cursor: string | null = ''
  do {
    const { body, status, text }: Answer<VaultPage> = await world.ask<VaultPage>('GET', `/groups/${groupId}/vault?${toParams({ ...query, limit, ...(cursor !== '' && { cursor }) })}`, { by })
    if (status !== 200) throw new Error(text)
    if (body.items.length > limit || (body.items.length < limit && body.nextCursor !== null)) throw new Error('a page has the wrong size')
    if (body.version !== version || body.catalogVersion !== 100) throw new Error('the versions are wrong')
    if (!t.same(body.totals, expected.totals, 'totals')) throw new Error(JSON.stringify(query))
    rows.push(...body.items.map(({ itemId, unit, quantity, perMember, approximate, name, alchEach, geEach }) => ({ itemId, unit, quantity, perMember, approximate, name, alchEach, geEach })))
    cursor = body.nextCursor
  } while (cursor !== null)
  if (!t.same(rows, expected.rows, 'rows')) throw new Error(JSON.stringify(query))
}

function toParams (query: object): string {
  return Object.entries(query).flatMap(([name, value]) => [value].flat().map(one => `${name}=${encodeURIComponent(String(one))}`)).join('&')
}

async function checkDetails (t: Test, world: World): Promise<void> {
  const [ann, bob] = [await world.person('Ann'), await world.person('Bob')]
  const { groupId, memberId } = await world.group(ann)
  const bobId = await world.join(bob, { groupId })
  const shared = await world.sharedMember({ groupId })
  const contents: PutContainer[] = [
    { groupId, memberId, container: 'inventory', items: [[4, 1], [5, 2], [4, 1]] },
    { groupId, memberId: bobId, container: 'bank', items: [[4, 10]], approximate: true },
    { groupId, memberId: bobId, container: 'potion_storage', items: [[4, 3]] },
    { groupId, memberId: shared, container: 'shared', items: [] }
  ]
  const version = await putContainers(world, groupId, contents)
  const { body: item } = await world.ask('GET', `/groups/${groupId}/vault/items/4`, { by: bob })
  t.match(item, { version, item: { itemId: 4, name: 'Rune scimitar', alchEach: '15360', geEach: '15000' }, total: 12, doses: 3 })
  t.match(Array.from(item.holders as unknown as object[]), [{ memberId, container: 'inventory', unit: 'item', slots: 2, quantity: 2, approximate: false },
    { memberId: bobId, container: 'bank', quantity: 10, approximate: true }, { container: 'potion_storage', unit: 'dose', quantity: 3 }])
  t.match(await world.ask('GET', `/groups/${groupId}/vault/items/6`, { by: bob }), { status: 404, body: { error: { code: 'NOT_FOUND' } } }, 'nobody has it')

  const { body: own } = await world.ask<{ containers: { inventory: { slots: Array<object | null> }, bank: null, shared?: object }, items: object }>('GET', `/groups/${groupId}/members/${memberId}/containers`, { by: bob })
  t.strictSame(own.containers.inventory.slots.slice(0, 4), [{ itemId: 4, quantity: 1 }, { itemId: 5, quantity: 2 }, { itemId: 4, quantity: 1 }, null])
  t.equal(own.containers.inventory.slots.length, 28, 'empty slots too')
  t.equal(own.containers.bank, null, 'never synced')
  t.strictSame(Object.keys(own.items), ['4', '5'])
  t.match(await world.ask('GET', `/groups/${groupId}/members/${shared}/containers?names=shared`, { by: bob }), { body: { containers: { shared: { slots: [] } } } }, 'empty is not "never synced"')

  const next = await putContainers(world, groupId, [{ memberId: bobId, container: 'bank', items: [[4, 11]] }])
  const since = async (version: number): Promise<unknown> => (await world.ask('GET', `/groups/${groupId}/vault/changes?since=${version}`, { by: ann })).body
  t.match(await since(version), { from: version, to: next, resync: false, changes: [{ version: next, kind: 'container', memberId: bobId, container: 'bank' }],
    containers: [{ memberId: bobId, container: 'bank', content: { version: next, approximate: false, slots: [{ itemId: 4, quantity: 11 }] } }], removedMembers: [], items: { 4: { name: 'Rune scimitar' } } })
  t.match(await since(next), { from: next, to: next, resync: false, changes: [], containers: [] })
  t.match(await since(next + 1), { resync: true, to: next }, 'ahead of what is')
  await world.db.prepare('DELETE FROM group_changes WHERE group_id = ? AND version <= ?').run(groupId, version)
  t.match(await since(version - 1), { resync: true, containers: [] }, 'before what is kept')
  t.match(await since(version), { resync: false })
  await world.db.tx(async () => {
    await world.db.prepare('DELETE FROM container_items WHERE member_id = ?').run(bobId)
    await world.db.prepare('DELETE FROM containers WHERE member_id = ?').run(bobId)
    await world.db.prepare('UPDATE members SET left_at = ? WHERE id = ?').run(world.clock.now, bobId)
    await world.db.prepare('UPDATE groups SET version = version + 1 WHERE id = ?').run(groupId)
    await world.db.prepare(`INSERT INTO group_changes (group_id, version, kind, member_id, container, at) VALUES (?, ?, 'roster', ?, '', 0)`).run(groupId, next + 1, bobId)
  })
  t.match(await since(version), { to: next + 1, containers: [], removedMembers: [bobId] })
  t.match(await world.ask('GET', `/groups/${groupId}/members/${bobId}/containers`, { by: ann }), { status: 404 })
}

async function checkEtag (t: Test, world: World): Promise<void> {
  const ann = await world.person('Ann')
  const { groupId, memberId } = await world.group(ann)
  await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 1]] }])
  const ask = async (etag?: unknown, query = ''): Promise<{ status: number, etag: unknown }> => {
    const { status, headers } = await world.ask('GET', `/groups/${groupId}/vault${query}`, { by: ann, headers: typeof etag === 'string' ? { 'if-none-match': etag } : {} })
    return { status, etag: headers.etag }
  }
  const first = await ask()
  world.clock.now += 1000
  t.strictSame(await ask(first.etag), { status: 304, etag: first.etag }, 'time alone changes nothing')
  t.match(await ask(`"other", ${String(first.etag)}`), { status: 304 })
  t.match(await ask(first.etag, '?q=rune'), { status: 200 }, 'another query')
  await world.db.prepare(`UPDATE app_meta SET value = 'newer' WHERE key = 'catalog_prices'`).run()
  const second = await ask(first.etag)
  t.match(second, { status: 200 }, 'other prices')
  await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 2]] }])
  t.match(await ask(second.etag), { status: 200 }, 'other holdings')
  await world.db.prepare('UPDATE members SET last_sync_at = ? WHERE id = ?').run(world.clock.now, memberId)
  const third = await ask()
  world.clock.now += 86_400_001
  t.match(await ask(third.etag), { status: 200 }, 'a member went stale')
}

async function checkAccess (t: Test, world: World): Promise<void> {
  const [ann, eve] = [await world.person('Ann'), await world.person('Eve')]
  const { groupId, memberId, joinCode } = await world.group(ann)
  await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 1]] }])
  const paths = [`/groups/${groupId}/vault`, `/groups/${groupId}/vault/items/4`, `/groups/${groupId}/members/${memberId}/containers`, `/groups/${groupId}/vault/changes?since=0`]
  for (const path of paths) {
    t.equal((await world.ask('GET', path)).status, 401, path)
    t.match(await world.ask('GET', path, { by: eve }), { status: 404, body: { error: { code: 'NOT_FOUND' } } })
  }
  await world.db.prepare('UPDATE groups SET is_demo = 1 WHERE id = ?').run(groupId)
  for (const path of paths) {
    const { status, text } = await world.ask('GET', path)
    t.equal(status, 200, path)
    t.notMatch(text, joinCode)
  }
}

async function checkBootstrap (t: Test, world: World): Promise<void> {
  const ann = await world.person('Ann')
  const { groupId, memberId, joinCode } = await world.group(ann)
  t.match(await world.ask('GET', '/web/bootstrap', { by: ann }), { status: 200, headers: { 'cache-control': 'private, no-store' }, body: {
    user: { id: ann.userId, displayName: 'Ann', isOperator: false }, groups: [{ groupId, memberId, role: 'owner', isDemo: false, features: { vault: true, live: true } }],
    flags: {}, catalogVersion: 100, csrfToken: ann.headers['x-csrf-token'], serverTime: new Date(world.clock.now).toISOString()
  } })
  await world.db.prepare('UPDATE groups SET is_demo = 0').run()
  t.equal((await world.ask('GET', '/web/bootstrap')).status, 401)
  await world.db.prepare('UPDATE groups SET is_demo = 1 WHERE id = ?').run(groupId)
  const demo = await world.ask('GET', '/web/bootstrap')
  t.match(demo, { status: 200, body: { user: null, csrfToken: null, groups: [{ groupId, memberId: null, role: null, isDemo: true }] } })
  t.notMatch(demo.text, joinCode)
}

async function checkBadQueries (t: Test, world: World): Promise<void> {
  const ann = await world.person('Ann')
  const { groupId, memberId } = await world.group(ann)
  await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 1], [5, 1]] }])
  const { body } = await world.ask<VaultPage>('GET', `/groups/${groupId}/vault?limit=1`, { by: ann })
  const bad = ['limit=0', 'limit=201', 'limit=x', 'sort=price', 'member=mem_1', 'container=attic', 'unknown=1', `q=${'a'.repeat(201)}`, 'cursor=zzz', `sort=name&cursor=${String(body.nextCursor)}`]
  for (const query of bad) t.match(await world.ask('GET', `/groups/${groupId}/vault?${query}`, { by: ann }), { status: 400, body: { error: { code: /VALIDATION|BAD_CURSOR/ } } }, query)
  t.match(await world.ask('GET', `/groups/${groupId}/vault/changes`, { by: ann }), { status: 400 })
  t.match(await world.ask('GET', `/groups/${groupId}/vault/items/x`, { by: ann }), { status: 400 })
}
