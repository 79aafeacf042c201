/** The routes of groups: what they answer, to whom, and what they refuse. */
import Fastify from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import t from 'tap'
import application, { options } from '../../../app.ts'
import { newId } from '../../../services/common/ids.ts'
import { findDevice } from '../../../services/groups/lookups.ts'
import { engines, freshUrl } from '../../helper/db.ts'
import { fill } from './groups-helper.ts'
import { startWorld, type Answer, type Json } from './world.ts'

const MINUTE_MS = 60_000

/** `409 GROUP_FULL` */
function told ({ status, body }: Answer<Json>): string {
  return `${status} ${text(body?.error?.code)}`
}

/** For what is text in JSON. */
function text (value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    /** Of a plugin whose token works. */
    const isServed = async ({ token }: { token: string }): Promise<boolean> => await findDevice(db, token, clock.now) !== undefined

    await t.test('a group is made, once for a key, and read by its members', async t => {
      const [ann, eve] = [await world.person('Ann'), await world.person('Eve')]
      const make = async (key: string, name: string) => await world.ask<Json>('POST', '/groups', { by: ann, body: { name, characterName: ' Zezima ' }, headers: { 'idempotency-key': key } })
      const made = await make('k', '  Ann\'s  ')
      t.match(made, { status: 201, body: { group: { name: 'Ann\'s', version: 1, memberCount: 1, maxMembers: 5, overLimit: false, plan: 'free', role: 'owner', compatName: null }, member: { displayName: 'Ann', characterName: 'Zezima', role: 'owner' } } })
      t.match(made.body.joinCode, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      t.equal(made.body.group?.joinCode, made.body.joinCode)
      t.strictSame((await make('k', '  Ann\'s  ')).body, made.body, 'the same answer')
      t.equal(told(await make('k', 'another')), '422 IDEMPOTENCY_MISMATCH')
      const id = text(made.body.group?.id)
      t.strictSame((await world.ask('GET', `/groups/${id}`, { by: ann })).body, made.body.group)
      t.match((await world.ask('GET', '/groups', { by: ann })).body, { groups: [{ id, role: 'owner', memberCount: 1, lastSyncAt: null }] })
      t.strictSame((await world.ask('GET', '/groups', { by: eve })).body, { groups: [] })
      for (const name of ['', ' - ', 'x'.repeat(31), 'a\u200Bb']) t.equal(told(await world.ask('POST', '/groups', { by: ann, body: { name } })), '400 VALIDATION', JSON.stringify(name))
      t.match((await world.ask('POST', '/groups', { by: ann, body: { name: 'a', characterName: 'x'.repeat(13) } })).body, { error: { code: 'VALIDATION', details: { pointer: '/body/characterName' } } })
      t.equal(told(await world.ask('POST', '/groups', { by: ann, body: { name: 'a', owner: 'me' } })), '400 VALIDATION')
      t.equal(told(await world.ask('POST', '/groups', { body: { name: 'a' } })), '401 UNAUTHENTICATED')
      for (let i = 1; i < 10; i++) await world.group(ann, `group ${i}`)
      t.equal(told(await world.ask('POST', '/groups', { by: ann, body: { name: 'one more' }, headers: { 'idempotency-key': 'l' } })), '409 GROUP_LIMIT')
    })

    await t.test('who is no member is told of no group, and a member of what it takes', async t => {
      const { ann, bob, group: { groupId, memberId: annId }, memberId, plugin } = await fill(world)
      const eve = await world.person('Eve')
      const routes = [
        ['GET', ''], ['GET', '/summary'], ['GET', '/roster'], ['GET', '/tokens'], ['PATCH', '', { name: 'x' }], ['DELETE', '', { confirm: 'Anns' }], ['PUT', '/join-code', { action: 'rotate' }],
        ['PATCH', `/members/${memberId}`, { displayName: 'x' }], ['DELETE', `/members/${annId}`], ['POST', '/leave'], ['POST', '/transfer', { memberId }], ['DELETE', `/tokens/${plugin.tokenId}`]
      ] as const
      for (const [method, path, body] of routes) {
        t.equal(told(await world.ask(method, `/groups/${groupId}${path}`, { by: eve, ...(body && { body }) })), '404 NOT_FOUND', `${method} ${path}`)
        t.equal(told(await world.ask(method, `/groups/${newId('group')}${path}`, { by: ann, ...(body && { body }) })), '404 NOT_FOUND', `${method} ${path}`)
      }
      for (const [method, path, body] of [['PATCH', '', { name: 'x' }], ['DELETE', '', { confirm: 'Anns' }], ['PUT', '/join-code', { action: 'rotate' }], ['DELETE', `/members/${annId}`], ['POST', '/transfer', { memberId }], ['PATCH', `/members/${annId}`, { displayName: 'x' }]] as const) {
        t.equal(told(await world.ask(method, `/groups/${groupId}${path}`, { by: bob, ...(body && { body }) })), '403 FORBIDDEN', `${method} ${path}`)
      }
      t.notMatch((await world.ask('GET', `/groups/${groupId}`, { by: bob })).text, 'joinCode', 'the code is for admins')
      t.notMatch((await world.ask('GET', `/groups/${groupId}/summary`, { by: bob })).text, 'joinCode')
      const { cookie = '' } = ann.headers
      t.equal(told(await world.ask('PATCH', `/groups/${groupId}`, { headers: { cookie }, body: { name: 'x' } })), '403 CSRF')
    })

    await t.test('name, settings and secret are changed by admins; each change is a version', async t => {
      const { ann, group: { groupId } } = await fill(world)
      const patch = async (body: object) => await world.ask<Json>('PATCH', `/groups/${groupId}`, { by: ann, body })
      t.match(await patch({ name: 'New', settings: { staleAfterMinutes: 60 }, ifVersion: 1 }), { status: 200, body: { name: 'New', version: 2, settings: { showPotionStorage: true, staleAfterMinutes: 60 } } })
      t.match(await patch({ name: 'Newer', ifVersion: 1 }), { status: 409, body: { error: { code: 'VERSION_MISMATCH', details: { version: 2 } } } })
      t.match((await patch({ name: 'New', settings: { staleAfterMinutes: 60 }, compatToken: false })).body, { version: 2 }, 'nothing has changed')
      for (const body of [{ settings: { staleAfterMinutes: 4 } }, { settings: { color: 'red' } }, { plan: 'premium' }, { name: 1 }]) t.equal(told(await patch(body)), '400 VALIDATION')
      const { body: made } = await patch({ compatToken: true })
      t.match(made, { compatName: 'new', version: 3 })
      t.match(made.compatToken, /^gvc_/)
      t.match((await patch({ name: 'Renamed' })).body, { compatName: 'new', version: 4 }, 'a renaming locks no plugin out')
      t.notMatch(JSON.stringify(await db.prepare('SELECT * FROM groups').all()), text(made.compatToken), 'kept as a hash')
      t.notSame((await patch({ compatToken: true })).body.compatToken, made.compatToken)
      t.match((await patch({ compatToken: false })).body, { compatName: null, version: 6 })
      t.strictSame((await db.prepare('SELECT type FROM activity_events WHERE group_id = ? ORDER BY group_seq').all(groupId)).map(row => row.type), ['member.joined', 'group.renamed', 'group.renamed'])
      t.strictSame((await db.prepare('SELECT action FROM audit_log WHERE group_id = ? ORDER BY id').all(groupId)).map(row => row.action), ['compat-token.made', 'compat-token.made', 'compat-token.ended'])
    })

    await t.test('people join by the code, however they type it; each invalid one is answered alike', async t => {
      const [ann, bob, cyd] = [await world.person('Ann'), await world.person('Bob'), await world.person('Cyd')]
      const { groupId, joinCode } = await world.group(ann)
      const typed = ` ${joinCode.slice(0, 3).toLowerCase()} ${joinCode.slice(3, 6)}-${joinCode.slice(6)}`
      const preview = async (code: string, by = bob) => await world.ask<Json>('GET', `/groups/join/${encodeURIComponent(code)}`, { by })
      const join = async (code: string, by = bob, characterName?: string) => await world.ask<Json>('POST', '/groups/join', { by, body: { code, ...(characterName !== undefined && { characterName }) } })
      const control = async (action: string) => (await world.ask<Json>('PUT', `/groups/${groupId}/join-code`, { by: ann, body: { action } })).body.joinCode
      t.strictSame((await preview(typed)).body, { name: 'Anns', memberCount: 1, maxMembers: 5, full: false, alreadyMember: false })
      t.match((await join(typed, bob, 'Iron_Bob')).body, { joined: true, group: { id: groupId, memberCount: 2, version: 2, role: 'member' }, member: { displayName: 'Bob', characterName: 'Iron_Bob', role: 'member', color: 1 } })
      t.match((await join(typed)).body, { joined: false, group: { memberCount: 2, version: 2 }, member: { characterName: 'Iron_Bob' } }, 'who is in it stays the one member')
      t.equal((await preview(typed)).body.alreadyMember, true)
      t.equal(told(await join(typed, cyd, 'iron bob')), '409 CHARACTER_TAKEN')
      t.match((await world.ask('GET', `/groups/${groupId}`, { by: ann })).body, { memberCount: 2, version: 2 }, 'and nothing of it is left')
      const rotated = await control('rotate')
      t.notSame(rotated, joinCode)
      const gone = await world.group(ann, 'Gone')
      t.equal((await world.ask('DELETE', `/groups/${gone.groupId}`, { by: ann, body: { confirm: 'Gone' } })).status, 204)
      t.equal(await control('disable'), null)
      const invalid = [typed, text(rotated), gone.joinCode, 'BCDFGHJK', 'nonsense', 'x']
      for (const code of invalid) for (const answer of [await preview(code, cyd), await join(code, cyd)]) t.equal(told(answer), '404 JOIN_CODE_INVALID', code)
      t.equal(await control('disable'), null)
      const enabled = await control('enable')
      t.equal(await control('enable'), enabled, 'it is on')
      t.match((await join(text(enabled), cyd)).body, { joined: true })
      t.match((await world.ask('GET', `/groups/${groupId}`, { by: ann })).body, { version: 6, joinCode: enabled }, 'rotated, switched off, on, joined')
      t.strictSame((await db.prepare('SELECT action FROM audit_log WHERE group_id = ? ORDER BY id').all(groupId)).map(row => row.action), ['join-code.rotate', 'join-code.disable', 'join-code.enable'])
      t.notMatch(JSON.stringify(await db.prepare('SELECT detail FROM audit_log').all()), /[BCDFGHJKLMNPQRSTVWXZ]{8}/, 'no codes there')
    })

    await t.test('a plan that allows less removes nobody, and lets nobody in', async t => {
      const { ann, group: { groupId, joinCode } } = await fill(world)
      await db.prepare('UPDATE groups SET max_members = 1 WHERE id = ?').run(groupId)
      t.match((await world.ask('GET', `/groups/${groupId}`, { by: ann })).body, { memberCount: 2, maxMembers: 1, overLimit: true })
      t.equal(told(await world.ask('POST', '/groups/join', { by: await world.person('Cyd'), body: { code: joinCode } })), '409 GROUP_FULL')
      t.match((await world.ask('GET', `/groups/join/${joinCode}`, { by: ann })).body, { full: true, alreadyMember: true })
    })

    await t.test('the roster has everybody, the shared storage last, and what they last synced', async t => {
      const { ann, bob, group, memberId } = await fill(world)
      const shared = await world.sharedMember(group)
      await db.prepare('UPDATE members SET last_seen_at = ?, last_sync_at = ?, last_world = 302 WHERE id = ?').run(clock.now - 4 * MINUTE_MS, clock.now - 25 * 60 * MINUTE_MS, memberId)
      const at = new Date(clock.now).toISOString()
      const roster = (await world.ask('GET', `/groups/${group.groupId}/roster`, { by: bob })).body
      t.match(roster, { members: [{ id: group.memberId, role: 'owner', online: false, lastSyncAt: null, containers: { bank: at } }, { id: memberId, role: 'member', online: true, world: 302, containers: { bank: at } }, { id: shared, kind: 'shared', containers: { shared: at }, online: false }] })
      t.strictSame(Object.keys(roster.members?.[0] ?? {}).filter(name => /norm|hash|epoch|user/i.test(name)), [])
      await db.prepare('INSERT INTO containers (member_id, container, group_id, content_hash, item_count, epoch, seq, writer_member_id, captured_at, received_at, version, approximate) VALUES (?, \'potion_storage\', ?, \'x\', 1, 1, 1, ?, 1, 1, 1, 0)').run(memberId, group.groupId, memberId)
      await db.prepare('INSERT INTO container_items (member_id, container, slot, group_id, item_id, quantity) VALUES (?, \'potion_storage\', 995, ?, 995, 40)').run(memberId, group.groupId)
      t.match((await world.ask('GET', `/groups/${group.groupId}/summary`, { by: ann })).body, {
        group: { id: group.groupId, memberCount: 2 }, roster: [{ displayName: 'Ann', stale: false }, { displayName: 'Bob', stale: true }, { kind: 'shared' }], totals: { distinctItems: 2, totalQuantity: 21 },
        activeMembers: [memberId], staleMembers: [memberId], lastSyncAt: new Date(clock.now - 25 * 60 * MINUTE_MS).toISOString(), plan: 'free', features: { vault: true, live: true }
      }, 'doses are an item of their own, and not counted with things')
    })

    await t.test('members change themselves, admins others, the owner roles', async t => {
      const { ann, bob, group, memberId } = await fill(world)
      const cyd = await world.person('Cyd')
      const cydId = await world.join(cyd, group, { characterName: 'Cyd the 1st' })
      const patch = async (by: typeof ann, id: string, body: object) => await world.ask<Json>('PATCH', `/groups/${group.groupId}/members/${id}`, { by, body })
      t.match(await patch(bob, memberId, { displayName: 'Bobby', characterName: 'Bobby_B' }), { status: 200, body: { displayName: 'Bobby', characterName: 'Bobby_B' } })
      t.equal(told(await patch(bob, memberId, { characterName: 'cyd-the 1ST' })), '409 CHARACTER_TAKEN')
      t.equal(told(await patch(bob, cydId, { displayName: 'x' })), '403 FORBIDDEN')
      t.equal(told(await patch(bob, memberId, { role: 'admin' })), '403 FORBIDDEN')
      t.match((await patch(ann, memberId, { role: 'admin' })).body, { role: 'admin' })
      t.match((await patch(bob, cydId, { characterName: null })).body, { characterName: null }, 'an admin')
      t.equal(told(await patch(bob, cydId, { role: 'admin' })), '403 FORBIDDEN', 'roles are the owner\'s')
      t.equal(told(await patch(ann, group.memberId, { role: 'member' })), '409 OWNER_MUST_TRANSFER')
      t.equal(told(await patch(ann, memberId, { role: 'owner' })), '400 VALIDATION')
      t.equal(told(await patch(ann, await world.sharedMember(group), { displayName: 'x' })), '409 SHARED_MEMBER')
      t.equal(told(await patch(ann, newId('member'), { displayName: 'x' })), '404 NOT_FOUND')
      t.equal(told(await patch(ann, memberId, { displayName: 'x'.repeat(41) })), '400 VALIDATION')
      t.match((await patch(ann, memberId, { displayName: 'Bobby' })).body, { displayName: 'Bobby' })
      t.match((await world.ask('GET', `/groups/${group.groupId}`, { by: ann })).body, { version: 4 }, 'three changes')
    })

    await t.test('who is removed or leaves is out at once; the owner gives the group away, or deletes it', async t => {
      const { ann, bob, group, memberId, plugin } = await fill(world)
      const { groupId } = group
      const remove = async (by: typeof ann, id: string) => told(await world.ask('DELETE', `/groups/${groupId}/members/${id}`, { by }))
      const leave = async (by: typeof ann) => told(await world.ask('POST', `/groups/${groupId}/leave`, { by }))
      const transfer = async (by: typeof ann, id: string) => await world.ask<Json>('POST', `/groups/${groupId}/transfer`, { by, body: { memberId: id } })
      t.equal(await remove(ann, group.memberId), '409 OWNER_CANNOT_BE_REMOVED')
      t.equal(await remove(ann, await world.sharedMember(group)), '409 SHARED_MEMBER')
      t.equal(await leave(ann), '409 OWNER_MUST_TRANSFER')
      t.equal(told(await transfer(ann, await world.sharedMember(group))), '409 NOT_A_MEMBER')
      t.equal(told(await transfer(ann, newId('member'))), '409 NOT_A_MEMBER')
      t.match((await transfer(ann, group.memberId)).body, { role: 'owner', version: 1 }, 'to themselves: nothing')
      t.match((await transfer(ann, memberId)).body, { role: 'admin', version: 2 })
      t.match((await world.ask('GET', `/groups/${groupId}`, { by: bob })).body, { role: 'owner' })
      t.equal(told(await transfer(ann, group.memberId)), '403 FORBIDDEN')
      const [own, cyd] = [await world.plugin(ann, group), await world.person('Cyd')]
      const cydId = await world.join(cyd, group)
      const cyds = await world.plugin(cyd, { groupId, memberId: cydId })
      t.strictSame(await Promise.all([own, cyds, plugin].map(isServed)), [true, true, true])
      t.equal(await remove(ann, cydId), '204 undefined', 'by an admin')
      t.equal(await leave(ann), '204 undefined')
      t.strictSame(await Promise.all([own, cyds, plugin].map(isServed)), [false, false, true], 'and so are their plugins')
      t.equal(told(await world.ask('GET', `/groups/${groupId}`, { by: cyd })), '404 NOT_FOUND')
      t.equal(await leave(ann), '404 NOT_FOUND')
      t.match((await transfer(bob, group.memberId)).body, { error: { code: 'NOT_A_MEMBER' } })
      t.equal(await leave(bob), '204 undefined', 'the last one takes the group along')
      t.match(await db.prepare('SELECT deleted_at, join_code, member_count FROM groups WHERE id = ?').get(groupId), { deleted_at: clock.now, join_code: null, member_count: 0 })
      t.equal(await isServed(plugin), false)
      t.strictSame(await db.prepare('SELECT * FROM container_items WHERE group_id = ?').all(groupId), [])
    })

    await t.test('a group is deleted by its owner, who names it, unless it is paid for', async t => {
      const { ann, bob, group: { groupId, joinCode }, plugin } = await fill(world)
      const remove = async (by: typeof ann, confirm: string) => told(await world.ask('DELETE', `/groups/${groupId}`, { by, body: { confirm } }))
      await db.prepare(`INSERT INTO subscriptions (id, group_id, provider, plan, status, cancel_at_period_end, last_event_at, last_event_id, updated_at) VALUES (?, ?, 'mock', 'premium', 'past_due', 0, 1, 'x', 1)`).run(newId('subscription'), groupId)
      t.equal(await remove(ann, 'anns'), '400 VALIDATION')
      t.equal(await remove(ann, 'Anns'), '409 ACTIVE_SUBSCRIPTION')
      await db.prepare(`UPDATE subscriptions SET status = 'canceled' WHERE group_id = ?`).run(groupId)
      t.equal(await remove(ann, 'Anns'), '204 undefined')
      for (const by of [ann, bob]) t.equal(told(await world.ask('GET', `/groups/${groupId}`, { by })), '404 NOT_FOUND')
      t.strictSame((await world.ask('GET', '/groups', { by: bob })).body, { groups: [] })
      t.equal(told(await world.ask('GET', `/groups/join/${joinCode}`, { by: bob })), '404 JOIN_CODE_INVALID')
      t.equal(await isServed(plugin), false)
    })

    await t.test('tokens are seen and revoked by whose they are, and by admins', async t => {
      const { ann, bob, group, memberId, plugin } = await fill(world)
      const own = await world.plugin(ann, group)
      const list = async (by: typeof ann) => ((await world.ask<{ tokens: Array<{ id: string }> }>('GET', `/groups/${group.groupId}/tokens`, { by })).body.tokens).map(({ id }) => id)
      const revoke = async (by: typeof ann, id: string) => told(await world.ask('DELETE', `/groups/${group.groupId}/tokens/${id}`, { by }))
      t.strictSame(await list(bob), [plugin.tokenId])
      t.strictSame((await list(ann)).sort(), [plugin.tokenId, own.tokenId].sort())
      const { body, text: whole } = await world.ask('GET', `/groups/${group.groupId}/tokens`, { by: bob })
      t.match(body, { tokens: [{ prefix: plugin.token.slice(0, 9), label: 'laptop', memberId, memberName: 'Bob', pluginVersion: '1.0.0', lastUsedAt: null }] })
      t.notMatch(whole, plugin.token)
      t.equal(await revoke(bob, own.tokenId), '404 NOT_FOUND')
      t.equal(await revoke(bob, plugin.tokenId), '204 undefined')
      t.equal(await isServed(plugin), false)
      t.equal(await revoke(ann, plugin.tokenId), '404 NOT_FOUND', 'it was')
      t.equal(await revoke(ann, own.tokenId), '204 undefined')
      t.strictSame(await list(ann), [])
    })
  })
}

void t.test('codes cannot be tried out: ten attempts a minute by person, sixty looks by address', async t => {
  const world = await startWorld(t, 'sqlite', { rateLimitFactor: 1 })
  const ann = await world.person('Ann')
  const join = async () => await world.ask<Json>('POST', '/groups/join', { by: ann, body: { code: 'BCDFGHJK' } })
  for (let i = 0; i < 10; i++) t.equal(told(await join()), '404 JOIN_CODE_INVALID')
  const refused = await join()
  t.equal(told(refused), '429 RATE_LIMITED')
  t.ok(Number(refused.headers['retry-after']) > 0)
  t.equal(told(await world.ask('POST', '/groups/join', { by: await world.person('Bob'), body: { code: 'BCDFGHJK' } })), '404 JOIN_CODE_INVALID', 'others go on')
  for (let i = 0; i < 60; i++) t.equal(told(await world.ask('GET', '/groups/join/BCDFGHJK', { by: ann })), '404 JOIN_CODE_INVALID')
  t.equal(told(await world.ask('GET', '/groups/join/BCDFGHJK', { by: await world.person('Cyd') })), '429 RATE_LIMITED')
})

void t.test('a code is in no log, though it is in the address of a request', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { ...options.logger, stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(async () => { await app.close() })
  await app.register(fastifyPlugin(application), { env: { DATABASE_URL: await freshUrl(t, 'sqlite') } })
  for (const url of ['/api/v1/groups', '/api/v1/groups/join/BCDFGHJK']) t.equal((await app.inject(url)).statusCode, 401)
  t.match(lines.join(''), '/api/v1/groups')
  t.notMatch(lines.join(''), 'BCDFGHJK')
})
