/** Malformed, stale, repeated, oversized and forged reports: each is answered as specified, names the part that is wrong, and changes nothing. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { newToken } from '../../../services/common/secrets.ts'
import { inventory, stacks, type Pair, type Reported } from '../../data/vault-payloads.ts'
import { engines } from '../../helper/db.ts'
import { allOf, Reporter } from './reporter.ts'
import { startWorld, type Json, type World } from './world.ts'

interface Case {
  readonly name: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Default: /sync/containers. */
  readonly path?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly status: number
  readonly code?: string
  readonly pointer?: string
  /** Of a report that is accepted and changes nothing. */
  readonly answer?: object
}

interface Scene { world: World, ann: Reporter, at: string, epoch: number, seq: number, deltaId: string, eventId: string, otherToken: string }

const pad = (count: number, pair: Pair = [4151, 1]): Pair[] => Array.from({ length: count }, () => pair)
const distinct = (count: number): Pair[] => Array.from({ length: count }, (_, i): Pair => [i + 1, 1])

const held: Record<string, Reported> = { bank: { items: stacks(1, 10) }, inventory: { items: inventory(1) }, shared: { items: stacks(2, 5) } }

function casesOf ({ at, epoch, seq, deltaId, eventId, ann, otherToken }: Scene): Case[] {
  const moment = { epoch, seq: seq + 1, capturedAt: at }
  const upload = (containers: unknown, more: object = {}): object => ({ ...moment, containers, ...more })
  const inv = (items: unknown): object => upload({ inventory: { items } })
  const bank = (items: unknown): object => upload({ bank: { items } })
  const validation = (name: string, body: unknown, pointer: string, more: Partial<Case> = {}): Case => ({ name, body, status: 400, code: 'VALIDATION', pointer, ...more })
  const event = (more: object): object => ({ events: [{ eventId: randomUUID(), type: 'loot', occurredAt: at, data: {}, ...more }] })
  const delta = (more: object): object => ({ deltaId: randomUUID(), epoch, seq: seq + 1, container: 'bank', add: [[995, 1]], ...more })
  const session = (more: object): object => ({ accountHash: '77', characterName: 'Zezima', clientTime: at, ...more })
  const authorization = ann.plugin.headers.authorization ?? ''
  return [
    // malformed
    { name: 'no JSON', body: '{"epoch":', status: 400, code: 'BAD_REQUEST', headers: { 'content-type': 'application/json' } },
    { name: 'no body', body: '', status: 400, code: 'BAD_REQUEST', headers: { 'content-type': 'application/json' } },
    { name: 'another type of body', body: 'epoch=1', status: 415, code: 'UNSUPPORTED_MEDIA', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    { name: 'a prototype in the body', body: `{"__proto__":{"epoch":1},"epoch":${epoch}}`, status: 400, code: 'BAD_REQUEST', headers: { 'content-type': 'application/json' } },
    validation('a list for a body', [], '/body'),
    validation('null for a body', 'null', '/body', { headers: { 'content-type': 'application/json' } }),
    validation('nothing in it', {}, '/body/epoch'),
    validation('no seq', { epoch, capturedAt: at, containers: {} }, '/body/seq'),
    validation('no time', { epoch, seq: seq + 1, containers: { quiver: { items: [] } } }, '/body/capturedAt'),
    validation('no containers', moment, '/body/containers'),
    validation('containers without any', upload({}), '/body/containers'),
    validation('containers as a list', upload([]), '/body/containers'),
    validation('a field that is not known', upload({ quiver: { items: [] } }, { memberId: 'mem_x' }), '/body/memberId'),
    validation('a container that is not known', upload({ looting_bag: { items: [] } }), '/body/containers/looting_bag'),
    validation('a container of a prototype', `{"epoch":${epoch},"seq":${seq + 1},"capturedAt":"${at}","containers":{"toString":{"items":[]}}}`, '/body/containers/toString', { headers: { 'content-type': 'application/json' } }),
    validation('a container that is null', upload({ inventory: null }), '/body/containers/inventory'),
    validation('a container without items', upload({ inventory: {} }), '/body/containers/inventory/items'),
    validation('items that are no list', inv({ 0: [1, 1] }), '/body/containers/inventory/items'),
    validation('a flat list', inv([4151, 1]), '/body/containers/inventory/items/0'),
    validation('an item without a quantity', inv([[4151]]), '/body/containers/inventory/items/0'),
    validation('an item with three parts', inv([[4151, 1, 0]]), '/body/containers/inventory/items/0'),
    validation('an item that is null', inv([[4151, 1], null]), '/body/containers/inventory/items/1'),
    validation('an id as text', inv([['4151', 1]]), '/body/containers/inventory/items/0/0'),
    validation('half an id', inv([[4151.5, 1]]), '/body/containers/inventory/items/0/0'),
    validation('half a quantity', inv([[4151, 0.5]]), '/body/containers/inventory/items/0/1'),
    validation('true for a quantity', inv([[4151, true]]), '/body/containers/inventory/items/0/1'),
    validation('an id below nothing', inv([[-2, 1]]), '/body/containers/inventory/items/0/0'),
    validation('an id beyond 32 bits', inv([[2 ** 31, 1]]), '/body/containers/inventory/items/0/0'),
    validation('an epoch as text', upload({ quiver: { items: [] } }, { epoch: String(epoch) }), '/body/epoch'),
    validation('epoch 0', upload({ quiver: { items: [] } }, { epoch: 0 }), '/body/epoch'),
    validation('an epoch that loses digits', upload({ quiver: { items: [] } }, { epoch: 2 ** 53 }), '/body/epoch'),
    validation('a seq below 0', upload({ quiver: { items: [] } }, { seq: -1 }), '/body/seq'),
    validation('a seq that is infinite', `{"epoch":${epoch},"seq":1e999,"capturedAt":"${at}","containers":{"quiver":{"items":[]}}}`, '/body/seq', { headers: { 'content-type': 'application/json' } }),
    validation('a time as a number', upload({ quiver: { items: [] } }, { capturedAt: 1 }), '/body/capturedAt'),
    validation('a day that there is not', upload({ quiver: { items: [] } }, { capturedAt: '2026-02-30T25:00:00Z' }), '/body/capturedAt'),
    validation('a leap second', upload({ quiver: { items: [] } }, { capturedAt: '2016-12-31T23:59:60Z' }), '/body/capturedAt'),
    validation('a time before 1970', upload({ quiver: { items: [] } }, { capturedAt: '1969-12-31T23:59:59Z' }), '/body/capturedAt'),
    validation('one bad container of three', upload({ quiver: { items: [[892, 1]] }, equipment: { items: [] }, bank: { items: [[995, 2 ** 31]] } }), '/body/containers/bank/items/0'),
    // oversized
    { name: 'more than 100,000 bytes', body: bank(pad(20_000)), status: 413, code: 'TOO_LARGE' },
    validation('29 places in the inventory', inv(pad(29)), '/body/containers/inventory/items'),
    validation('15 pieces of equipment', upload({ equipment: { items: pad(15) } }), '/body/containers/equipment/items'),
    validation('5 runes in the pouch', upload({ rune_pouch: { items: pad(5) } }), '/body/containers/rune_pouch/items'),
    validation('2 kinds of arrows', upload({ quiver: { items: pad(2) } }), '/body/containers/quiver/items'),
    validation('1501 stacks in the bank', bank(distinct(1501)), '/body/containers/bank/items'),
    validation('251 seeds', upload({ seed_vault: { items: distinct(251) } }), '/body/containers/seed_vault/items'),
    validation('201 potions', upload({ potion_storage: { items: distinct(201) } }), '/body/containers/potion_storage/items'),
    validation('501 stacks that are shared', upload({ shared: { items: distinct(501) } }), '/body/containers/shared/items'),
    validation('a quantity beyond 32 bits in a place', inv([[0, 0], [995, 2 ** 31]]), '/body/containers/inventory/items/1'),
    validation('a quantity beyond 32 bits in a stack', bank([[995, 2 ** 31]]), '/body/containers/bank/items/0'),
    validation('stacks that are too many together', bank([[995, 2 ** 31 - 1], [4151, 1], [995, 1]]), '/body/containers/bank/items/2'),
    validation('a quantity beyond all digits', bank([[995, 2 ** 60]]), '/body/containers/bank/items/0/1'),
    // stale, repeated
    { name: 'the same report again', body: { ...upload(held), seq }, status: 200, answer: { results: { bank: 'stale', inventory: 'stale', shared: 'stale' } } },
    { name: 'the same number with other content', body: { ...inv([[1, 1]]), seq }, status: 200, answer: { results: { inventory: 'stale' } } },
    { name: 'an older number', body: { ...inv([[1, 1]]), seq: 0 }, status: 200, answer: { results: { inventory: 'stale' } } },
    { name: 'an older epoch', body: { ...inv([[1, 1]]), epoch: epoch - 1, seq: 10_000 }, status: 200, answer: { results: { inventory: 'stale' } } },
    { name: 'one container again', method: 'PUT', path: '/sync/containers/inventory', body: { epoch, seq, capturedAt: at, items: [] }, status: 200, answer: { result: 'stale' } },
    { name: 'a removal that is late', method: 'DELETE', path: `/sync/containers/bank?epoch=${epoch}&seq=${seq}`, status: 200, answer: { result: 'stale' } },
    { name: 'a delta again', path: '/sync/deltas', body: delta({ deltaId, seq: seq - 1, add: [[995, 7]] }), status: 200, answer: { result: 'duplicate' } },
    { name: 'a delta again, in capitals', path: '/sync/deltas', body: delta({ deltaId: deltaId.toUpperCase(), seq: seq - 1, add: [[995, 7]] }), status: 200, answer: { result: 'duplicate' } },
    { name: 'another delta under the same id', path: '/sync/deltas', body: delta({ deltaId, seq: seq - 1 }), status: 422, code: 'IDEMPOTENCY_MISMATCH' },
    { name: 'an event again', path: '/sync/events', body: event({ eventId }), status: 202, answer: { accepted: 0, duplicates: 1 } },
    // forged
    { name: 'an epoch that was never issued', body: { ...inv([]), epoch: epoch + 1 }, status: 409, code: 'EPOCH_UNKNOWN' },
    { name: 'equal content under an epoch that was never issued', body: { ...upload(held), epoch: epoch + 1 }, status: 409, code: 'EPOCH_UNKNOWN' },
    { name: 'a delta of an epoch that was never issued', path: '/sync/deltas', body: delta({ epoch: epoch + 1 }), status: 409, code: 'EPOCH_UNKNOWN' },
    { name: 'a removal in an epoch that was never issued', method: 'DELETE', path: `/sync/containers/bank?epoch=${epoch + 1}&seq=1`, status: 409, code: 'EPOCH_UNKNOWN' },
    { name: 'no token', body: inv([]), headers: { authorization: '' }, status: 401, code: 'TOKEN_INVALID' },
    { name: 'a token with a slip', body: inv([]), headers: { authorization: authorization.slice(0, -1) + (authorization.endsWith('0') ? '1' : '0') }, status: 401, code: 'TOKEN_INVALID' },
    { name: 'a token that nobody issued', body: inv([]), headers: { authorization: `Bearer ${newToken('gv')}` }, status: 401, code: 'TOKEN_REVOKED' },
    { name: 'a token as a password', body: inv([]), headers: { authorization: authorization.replace('Bearer', 'Basic') }, status: 401, code: 'TOKEN_INVALID' },
    { name: 'the token of another member, with these numbers', body: inv([[1, 1]]), headers: { authorization: otherToken }, status: 409, code: 'EPOCH_UNKNOWN' },
    { name: 'the game\'s own account of nobody', path: '/sync/sessions', body: session({ accountHash: '-1' }), status: 400, code: 'VALIDATION', pointer: '/body/accountHash' },
    { name: 'another account', path: '/sync/sessions', body: session({ accountHash: '78' }), status: 409, code: 'CHARACTER_MISMATCH' },
    validation('an account as a number', session({ accountHash: 77 }), '/body/accountHash', { path: '/sync/sessions' }),
    validation('an account beyond 64 bits', session({ accountHash: '9223372036854775808' }), '/body/accountHash', { path: '/sync/sessions' }),
    validation('an account with a zero in front', session({ accountHash: '077' }), '/body/accountHash', { path: '/sync/sessions' }),
    validation('a name that is too long', session({ characterName: 'Zezima the Great' }), '/body/characterName', { path: '/sync/sessions' }),
    validation('a name that cannot be seen', session({ characterName: '\u200B\u200B' }), '/body/characterName', { path: '/sync/sessions' }),
    validation('a name with an end in it', session({ characterName: 'Zez\u0000ima' }), '/body/characterName', { path: '/sync/sessions' }),
    validation('a delta for another container', delta({ container: 'shared' }), '/body/container', { path: '/sync/deltas' }),
    validation('a delta that is nobody\'s', delta({ deltaId: 'one' }), '/body/deltaId', { path: '/sync/deltas' }),
    validation('a delta of nothing', delta({ add: [] }), '/body/add', { path: '/sync/deltas' }),
    validation('a delta that takes away', delta({ add: [[995, 1], [4151, -1]] }), '/body/add/1', { path: '/sync/deltas' }),
    validation('a delta that is too much', delta({ add: [[995, 2 ** 31 - 1], [995, 1]] }), '/body/add/1', { path: '/sync/deltas' }),
    validation('201 items in a delta', delta({ add: distinct(201) }), '/body/add', { path: '/sync/deltas' }),
    validation('an event without an id', event({ eventId: undefined }), '/body/events/0/eventId', { path: '/sync/events' }),
    validation('an event with blanks in its id', event({ eventId: 'a b' }), '/body/events/0/eventId', { path: '/sync/events' }),
    validation('an event with too much to say', event({ data: { text: 'ü'.repeat(2048) } }), '/body/events/0/data', { path: '/sync/events' }),
    validation('data that is a list', event({ data: [] }), '/body/events/0/data', { path: '/sync/events' }),
    validation('no events', { events: [] }, '/body/events', { path: '/sync/events' }),
    validation('51 events', { events: Array.from({ length: 51 }, () => (event({}) as { events: unknown[] }).events[0]) }, '/body/events', { path: '/sync/events' }),
    validation('one bad event of two', { events: [...(event({}) as { events: unknown[] }).events, ...(event({ occurredAt: 'now' }) as { events: unknown[] }).events] }, '/body/events/1/occurredAt', { path: '/sync/events' }),
    validation('an event of a type in capitals', event({ type: 'LOOT' }), '/body/events/0/type', { path: '/sync/events' }),
    validation('a world that there is not', { world: 0 }, '/body/world', { path: '/sync/heartbeat' }),
    validation('an activity without end', { activity: 'x'.repeat(61) }, '/body/activity', { path: '/sync/heartbeat' }),
    validation('a removal without a number', undefined, '/querystring/seq', { method: 'DELETE', path: `/sync/containers/bank?epoch=${epoch}` }),
    validation('a removal with a word for a number', undefined, '/querystring/seq', { method: 'DELETE', path: `/sync/containers/bank?epoch=${epoch}&seq=last` }),
    { name: 'a container that there is not', method: 'PUT', path: '/sync/containers/constructor', body: { ...moment, items: [] }, status: 404, code: 'CONTAINER_UNKNOWN' }
  ]
}

for (const engine of engines) {
  void t.test(`bad reports, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const owner = await world.person('Ann')
    const group = await world.group(owner)
    const stranger = await world.person('Eve')
    const others = await world.plugin(stranger, await world.group(stranger))
    const ann = new Reporter(world, await world.plugin(owner, group))
    for (let i = 0; i < 3; i++) await ann.open('77', 'Zezima')
    const [deltaId, eventId] = [randomUUID(), randomUUID()]
    const at = new Date(world.clock.now).toISOString()
    await ann.send({ bank: { items: stacks(9, 3) } })
    await ann.delta(deltaId, [[995, 7]])
    await world.ask('POST', '/sync/events', { by: ann.plugin, body: { events: [{ eventId, type: 'loot', occurredAt: at, data: {} }] } })
    await ann.send(held)
    const before = await allOf(world, group.groupId)
    const cases = casesOf({ world, ann, at, epoch: ann.epoch, seq: ann.seq, deltaId, eventId, otherToken: others.headers.authorization ?? '' })
    t.ok(cases.length >= 34 * 2, `${cases.length} kinds`)
    for (const { name, method = 'POST', path = '/sync/containers', body, headers, status, code, pointer, answer } of cases) {
      await t.test(name, async t => {
        const got = await world.ask<Json>(method, path, { by: ann.plugin, ...(body !== undefined && { body: body as object | string }), ...(headers && { headers }) })
        t.equal(got.status, status, got.text)
        if (code !== undefined) t.equal(got.body.error?.code, code)
        if (pointer !== undefined) t.strictSame(got.body.error?.details, { pointer })
        if (answer !== undefined) t.match(got.body, answer)
        t.notMatch(got.text, /SQL|sqlite|postgres|constraint|node_modules/i)
        if (!name.startsWith('a delta again')) t.strictSame(await allOf(world, group.groupId).then(withoutSyncTime), withoutSyncTime(before), 'nothing has changed')
      })
    }
  })

  void t.test(`a plugin that asks too often is told how long to wait, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { rateLimitFactor: 1 })
    const owner = await world.person('Ann')
    const plugin = await world.plugin(owner, await world.group(owner))
    for (let i = 0; i < 15; i++) t.equal((await world.ask('POST', '/sync/heartbeat', { by: plugin, body: {} })).status, 204)
    t.match(await world.ask('POST', '/sync/heartbeat', { by: plugin, body: {} }), { status: 429, headers: { 'retry-after': /^\d+$/ }, body: { error: { code: 'RATE_LIMITED' } } })
  })
}

/** That a plugin was there is noted also if it had nothing new. */
function withoutSyncTime (all: unknown): unknown {
  return JSON.parse(JSON.stringify(all, (key, value: unknown) => ['last_sync_at', 'updated_at'].includes(key) ? 0 : value))
}
