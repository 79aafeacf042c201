/** The catalog: a refresh is whole or nothing, a search never mixes two, a rollback gives the earlier names back. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { getActiveSnapshot, installSnapshot, searchCatalog } from '../../../services/catalog/store.ts'
import { engines } from '../../helper/db.ts'
import { watch } from './event-source.ts'
import { putContainers } from './vault-holdings.ts'
import { startWorld, type Answer, type Json, type Person, type World } from './world.ts'

/** A server in the form of the real one; what it answers is up to the test. */
interface Source { url: string, items: object[], etag: string | undefined, prices: object, answer: ((path: string, response: ServerResponse) => Promise<void> | void) | undefined, heard: IncomingHttpHeaders[] }

async function startSource (t: Test): Promise<Source> {
  const source: Source = { url: '', items: [], etag: undefined, prices: { data: {} }, answer: undefined, heard: [] }
  const server = createServer((request, response) => {
    source.heard.push(request.headers)
    const path = request.url ?? ''
    if (source.answer !== undefined) return void source.answer(path, response)
    if (path === '/mapping' && source.etag !== undefined && request.headers['if-none-match'] === source.etag) return void response.writeHead(304).end()
    response.setHeader('content-type', 'application/json')
    if (path === '/mapping' && source.etag !== undefined) response.setHeader('etag', source.etag)
    response.end(JSON.stringify(path === '/mapping' ? source.items : source.prices))
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => { server.closeAllConnections(); server.close() })
  source.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return source
}

/** `count` items that are called after `word`. */
function itemsOf (word: string, count = 500): Array<{ id: number, name: string, examine: string, members: boolean, value: number }> {
  return Array.from({ length: count }, (_, id) => ({ id, name: `${word} ${id}`, examine: 'It is one.', members: false, value: 10 }))
}

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const source = await startSource(t)
    const world = await startWorld(t, engine, { env: { VAULT_CATALOG_URL: source.url, VAULT_CATALOG_CONTACT: 'me@example.org' } })
    const operator = await world.person('Op', { isOperator: true })
    const world2 = { t, world, source, operator }
    await t.test('one of its own is in force from the first start', async t => { await checkDefault({ ...world2, t }) })
    await t.test('a refresh is in force for everybody at once', async t => { await checkRefresh({ ...world2, t }) })
    await t.test('a source that is broken or suspect changes nothing', async t => { await checkBroken({ ...world2, t }) })
    await t.test('a refresh that fails in the middle changes nothing (T12)', async t => { await checkFault({ ...world2, t }) })
    await t.test('searches during refreshes never mix two', async t => { await checkMixing({ ...world2, t }) })
    await t.test('a rollback gives the earlier names back (T13)', async t => { await checkRollback({ ...world2, t }) })
    await t.test('one refresh at a time', async t => { await checkLease({ ...world2, t }) })
    await t.test('for operators only', async t => {
      const ann = await world.person('Ann')
      for (const [method, path] of [['GET', 'snapshots'], ['POST', 'refresh'], ['POST', 'rollback']] as const) {
        t.equal((await world.ask(method, `/ops/catalog/${path}`, { by: ann, ...(method === 'POST' && { body: {} }) })).status, 403)
        t.equal((await world.ask(method, `/ops/catalog/${path}`, method === 'POST' ? { body: {} } : {})).status, 401)
      }
    })
  })
}

interface Found { readonly items: ReadonlyArray<{ readonly name: string }>, readonly nextCursor: string | null }

interface Stage { readonly t: Test, readonly world: World, readonly source: Source, readonly operator: Person }

async function refresh ({ world, operator }: Pick<Stage, 'world' | 'operator'>, body: object = {}): Promise<{ status: number, body: Json }> {
  return await world.ask('POST', '/ops/catalog/refresh', { by: operator, body })
}

async function namesOf ({ world }: Pick<Stage, 'world'>, query = 'limit=200'): Promise<string[]> {
  const { body } = await world.ask<{ items: Array<{ name: string }> }>('GET', `/catalog/items?${query}`)
  return body.items.map(({ name }) => name)
}

async function checkDefault (stage: Stage): Promise<void> {
  const { t, world } = stage
  t.match(await world.ask('GET', '/catalog/items/1333'), { status: 200, headers: { etag: /^"/, 'cache-control': 'public, max-age=3600' }, body: { catalogVersion: 1, item: { itemId: 1333, name: 'Rune scimitar', value: '25600', highAlch: '15360', price: { each: /^\d+$/ } } } })
  t.match(await world.ask('GET', '/catalog/items/31999'), { status: 404 })
  t.strictSame(await namesOf(stage, 'q=rune%20scim|"coins"|4151'), ['Abyssal whip', 'Coins', 'Rune scimitar'])
  t.strictSame(await namesOf(stage, 'ids=4151&ids=995&ids=3'), ['Abyssal whip', 'Coins'])
  const all: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body, headers }: Answer<Found> = await world.ask<Found>('GET', `/catalog/items?limit=90${cursor === '' ? '' : `&cursor=${cursor}`}`)
    all.push(...body.items.map(({ name }) => name))
    cursor = body.nextCursor
    if (cursor === null) t.equal((await world.ask('GET', '/catalog/items?limit=90', { headers: { 'if-none-match': String(headers.etag) } })).status, 200, 'of another page')
  }
  t.strictSame(all, Array.from(new Set(all)).sort((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1))
  t.ok(all.length > 300)
  const { headers: { etag } } = await world.ask('GET', '/catalog/items?q=rune')
  t.equal((await world.ask('GET', '/catalog/items?q=rune', { headers: { 'if-none-match': String(etag) } })).status, 304)
  t.equal((await world.ask('GET', '/catalog/items?cursor=x')).status, 400)
}

async function checkRefresh (stage: Stage): Promise<void> {
  const { t, world, source, operator } = stage
  const made = await world.group(operator)
  await putContainers(world, made.groupId, [{ memberId: made.memberId, container: 'bank', items: [[7, 2]] }])
  const events = await watch(t, world, made.groupId, { by: operator })
  await events.until('hello')
  source.items = itemsOf('First')
  source.etag = '"one"'
  source.prices = { data: { 7: { high: 100, highTime: 1_700_000_000, low: 91, lowTime: null }, 8: { high: null, low: 5 }, 9: {} } }
  t.match(await refresh(stage, { dryRun: true }), { status: 200, body: { activated: false, unchanged: false, itemCount: 500 } })
  t.match(await world.ask('GET', '/catalog/items/7'), { status: 404 }, 'it was only a look')
  const { body } = await refresh(stage)
  t.match(body, { activated: true, unchanged: false, itemCount: 500, catalogVersion: 2, prices: 3 })
  t.match(source.heard.at(-1), { 'user-agent': /me@example\.org/ })
  t.match((await events.until('catalog')).at(-1), { data: { catalogVersion: 2 } })
  events.close()
  t.match(await world.ask('GET', '/catalog/items/7'), { body: { catalogVersion: 2, item: { name: 'First 7', price: { each: '95', high: '100', highAt: '2023-11-14T22:13:20.000Z', low: '91', lowAt: null } } } })
  t.match(await world.ask('GET', '/catalog/items/8'), { body: { item: { price: { each: '5' } } } })
  t.match(await world.ask('GET', '/catalog/items/9'), { body: { item: { price: { each: null } } } })
  t.match(await world.ask('GET', `/groups/${made.groupId}/vault`, { by: operator }), { body: { catalogVersion: 2, totals: { geValue: '190' }, items: [{ name: 'First 7' }] } })
  t.match(await refresh(stage), { body: { unchanged: true, activated: false, catalogVersion: 2 } }, 'not newer (304)')
  source.etag = '"two"'
  t.match(await refresh(stage), { body: { unchanged: true, activated: false } }, 'the same content')
  t.match((await world.ask('GET', '/ops/catalog/snapshots', { by: operator })).body, { snapshots: [{ id: body.snapshotId, active: true, status: 'ready', source: source.url, itemCount: 500 }, { source: 'default', active: false }] })
}

async function checkBroken (stage: Stage): Promise<void> {
  const { t, world, source } = stage
  const before = await namesOf(stage)
  source.etag = undefined
  const unchanged = async (name: string, status: number, code: string): Promise<void> => {
    t.match(await refresh(stage), { status, body: { error: { code } } }, name)
    t.strictSame(await namesOf(stage), before)
    t.match((await world.ask('GET', '/catalog/items?limit=1')).body, { catalogVersion: 2 })
  }
  const broken: Array<[string, NonNullable<Source['answer']>]> = [
    ['500', (_path, response) => { response.writeHead(500).end() }],
    ['no JSON', (_path, response) => { response.end('<html>') }],
    ['another form', (_path, response) => { response.end('{"items":[]}') }],
    ['an id that is none', (_path, response) => { response.end('[{"id":"x","name":"y"}]') }],
    ['a redirect', (_path, response) => { response.writeHead(302, { location: '/elsewhere' }).end() }],
    ['cut off', (_path, response) => { response.writeHead(200, { 'content-length': '100' }).write('['); response.destroy() }],
    ['too long', (_path, response) => { response.end(`[${' '.repeat(10_000_001)}]`) }],
    ['prices of another form', (path, response) => { response.end(path === '/mapping' ? JSON.stringify(itemsOf('First', 501)) : '{"data":{"7":{"high":"many"}}}') }]
  ]
  for (const [name, answer] of broken) {
    source.answer = answer
    await unchanged(name, 502, 'CATALOG_SOURCE')
  }
  source.answer = undefined
  const first = itemsOf('First')
  const suspects: Array<[string, object[]]> = [
    ['none', []],
    ['too few', first.slice(0, 399)],
    ['twice', [...first, ...first.slice(0, 1)]],
    ['nameless', [...first, { id: 501, name: ' ' }]],
    ['renamed', [...itemsOf('Other', 11), ...first.slice(11)]]
  ]
  for (const [name, items] of suspects) {
    source.items = items
    await unchanged(name, 422, 'CATALOG_SUSPECT')
  }
  source.items = [...itemsOf('Other', 10), ...first.slice(10)]
  t.match(await refresh(stage, { dryRun: true }), { body: { added: 0, removed: 0, changed: 10 } }, 'a few may be renamed')
}

async function checkFault (stage: Stage): Promise<void> {
  const { t, world, source } = stage
  const before = await namesOf(stage)
  source.items = itemsOf('First', 1200)
  const count = async (): Promise<unknown> => await world.db.prepare('SELECT (SELECT COUNT(*) FROM catalog_snapshots) AS snapshots, (SELECT COUNT(*) FROM catalog_items) AS items').get()
  const counted = await count()
  // the last of its three pieces fails
  await world.db.exec('CREATE UNIQUE INDEX in_the_way ON catalog_items (snapshot_id, (CASE WHEN item_id IN (3, 1100) THEN -1 ELSE item_id END))')
  t.match(await refresh(stage), { status: 500, body: { error: { code: 'INTERNAL' } } })
  await world.db.exec('DROP INDEX in_the_way')
  t.strictSame(await namesOf(stage), before)
  t.strictSame(await count(), counted)
  t.match(await refresh(stage), { status: 200, body: { activated: true, added: 700 } }, 'and nothing is in the way of the next')
}

async function checkMixing ({ t, world }: Stage): Promise<void> {
  const install = async (word: string, count = 600): Promise<void> => {
    const items = itemsOf(word, count).map(({ id, ...item }) => ({ ...item, itemId: id, lowAlch: null, highAlch: null, buyLimit: null, iconKey: '', tradeable: true }))
    await installSnapshot(world.db, { source: 'test', sourceEtag: null, items, by: '', reason: word }, world.clock.now++)
  }
  const seen = new Set<string>()
  let isDone = false
  const search = async (): Promise<void> => {
    while (!isDone) {
      const catalog = await getActiveSnapshot(world.db)
      const words = new Set(searchCatalog(catalog, { q: '1', limit: 200 }).items.concat(searchCatalog(catalog, { limit: 200 }).items).map(({ name }) => name.split(' ')[0] ?? ''))
      if (words.size !== 1) throw new Error(`mixed: ${[...words].join()}`)
      for (const word of words) seen.add(word)
    }
  }
  const searches = [search(), search()]
  for (const word of ['Red', 'Blue', 'Green', 'White']) await install(word)
  isDone = true
  await Promise.all(searches)
  t.ok(seen.size >= 1)
  for (let i = 0; i < 12; i++) await install(`Word${i}`, 10)
  const rows = await world.db.prepare('SELECT COUNT(*) AS snapshots, (SELECT COUNT(DISTINCT snapshot_id) FROM catalog_items) AS whole FROM catalog_snapshots').get()
  t.strictSame(rows && { ...rows }, { snapshots: 10, whole: 10 }, 'only the newest are kept')
}

async function checkRollback (stage: Stage): Promise<void> {
  const { t, world, operator } = stage
  const rollback = async (snapshotId: string): Promise<{ status: number, body: Json }> => await world.ask('POST', '/ops/catalog/rollback', { by: operator, body: { snapshotId, reason: 'names are wrong' } })
  const { body: { snapshots } } = await world.ask<{ snapshots: Array<{ id: string, active: boolean }> }>('GET', '/ops/catalog/snapshots', { by: operator })
  const [now = { id: '' }, before = { id: '' }] = snapshots
  const names = await namesOf(stage)
  const { body } = await rollback(before.id)
  t.match(body, { from: now.id, to: before.id, unchanged: false })
  t.ok((await namesOf(stage)).every(name => name.startsWith('Word10')), 'the earlier names, exactly')
  t.match(await rollback(before.id), { status: 200, body: { unchanged: true, catalogVersion: body.catalogVersion } }, 'twice is once')
  t.match(await rollback(`cat_${'0'.repeat(8)}-0000-7000-8000-${'0'.repeat(12)}`), { status: 404 })
  await world.db.prepare(`UPDATE catalog_snapshots SET status = 'failed' WHERE id = ?`).run(now.id)
  t.match(await rollback(now.id), { status: 409, body: { error: { code: 'SNAPSHOT_NOT_READY' } } })
  await world.db.prepare(`UPDATE catalog_snapshots SET status = 'ready' WHERE id = ?`).run(now.id)

  await world.db.exec(`CREATE UNIQUE INDEX in_the_way ON audit_log (action)`)
  t.match(await rollback(now.id), { status: 500 }, 'without a word of it in the audit log it is not done')
  t.ok((await namesOf(stage)).every(name => name.startsWith('Word10')))
  await world.db.exec('DROP INDEX in_the_way')
  t.match(await rollback(now.id), { status: 200 })
  t.strictSame(await namesOf(stage), names)
}

async function checkLease (stage: Stage): Promise<void> {
  const { t, world, source } = stage
  const asked = Promise.withResolvers<undefined>()
  const go = Promise.withResolvers<undefined>()
  source.answer = async (path, response) => {
    asked.resolve(undefined)
    await go.promise
    response.end(JSON.stringify(path === '/mapping' ? itemsOf('First', 20) : { data: {} }))
  }
  const running = refresh(stage)
  await asked.promise
  t.match(await refresh(stage), { status: 409, body: { error: { code: 'REFRESH_RUNNING' } } })
  t.match(await world.ask('GET', '/catalog/items/7'), { status: 200 }, 'meanwhile everybody reads')
  go.resolve(undefined)
  t.match(await running, { status: 200, body: { activated: true } })
  t.match(await refresh(stage), { status: 200, body: { unchanged: true } }, 'and it is free again')
  await world.db.prepare(`INSERT INTO app_meta (key, value) VALUES ('catalog_refresh', ?)`).run(`${world.clock.now - 1} of a process that died`)
  t.match(await refresh(stage), { status: 200 }, 'what died holds it for a while only')
}
