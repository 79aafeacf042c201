/** Live events over real sockets: what is told, what is told again, and how it ends. */
import t, { type Test } from 'tap'
import { revokeSession } from '../../../services/auth/sessions.ts'
import { sha256 } from '../../../services/common/secrets.ts'
import { bumpGroupVersion, CHANNEL, lockGroup, tellGroup } from '../../../services/groups/lock.ts'
import { EventQueue, MOST_QUEUED } from '../../../services/vault/event-queue.ts'
import { hubOf } from '../../../services/vault/hub.ts'
import { engines } from '../../helper/db.ts'
import { watch } from './event-source.ts'
import { putContainers } from './vault-holdings.ts'
import { startWorld, type MadeGroup, type Person, type World } from './world.ts'

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    await t.test('what happens is told with the version; after a break what was missed', async t => { await checkReplay(t, world) })
    await t.test('who is removed, signed out, or one stream too many is told so', async t => { await checkEnds(t, world) })
    await t.test('only members with the feature; the demo group for everybody', async t => { await checkAccess(t, world) })
    await t.test('who is too slow reads anew', async t => { await checkOverflow(t, world) })
    await t.test('streams end with the app', async t => {
      const { ann, made } = await newGroup(world)
      const source = await watch(t, world, made.groupId, { by: ann })
      await source.until('hello')
      const closed = world.app.close()
      t.match(await source.last(), { event: 'bye', data: { reason: 'closing' } })
      await closed
    })
  })
}

async function newGroup (world: World): Promise<{ ann: Person, bob: Person, made: MadeGroup, bobId: string }> {
  const [ann, bob] = [await world.person('Ann'), await world.person('Bob')]
  const made = await world.group(ann)
  return { ann, bob, made, bobId: await world.join(bob, made) }
}

async function bump ({ db, clock }: World, groupId: string, kind: 'roster' | 'settings'): Promise<number> {
  return await db.tx(async () => {
    await lockGroup(db, groupId, clock.now)
    return await bumpGroupVersion(db, groupId, [{ kind }], clock.now)
  })
}

async function checkReplay (t: Test, world: World): Promise<void> {
  const { ann, made: { groupId, memberId } } = await newGroup(world)
  const first = await watch(t, world, groupId, { by: ann })
  t.match(first, { status: 200 })
  t.match(Object.fromEntries(first.headers), { 'content-type': 'text/event-stream', 'cache-control': /no-transform/, 'x-accel-buffering': 'no' })
  t.match(await first.next(), { event: 'hello', id: '1', data: { version: 1 } })
  const version = await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 1]] }])
  t.match(await first.next(), { event: 'vault', id: String(version), data: { version } })
  await tellGroup(world.db, { groupId, kind: 'presence', memberId })
  t.strictSame(await first.next(), { event: 'presence', data: { memberId } })
  first.close()

  await t.rejects(world.db.tx(async () => {
    await lockGroup(world.db, groupId, 0)
    await bumpGroupVersion(world.db, groupId, [{ kind: 'roster' }], 0)
    throw new Error('no')
  }), 'what is rolled back is not told')
  await bump(world, groupId, 'settings')
  await putContainers(world, groupId, [{ memberId, container: 'bank', items: [] }, { memberId, container: 'inventory', items: [[5, 1]] }])
  const missed = [{ event: 'hello', data: { version: 4 } }, { event: 'roster', id: '3', data: { version: 3 } }, { event: 'vault', id: '4', data: { version: 4 } }, { event: 'roster', id: '5' }]
  const again = await watch(t, world, groupId, { by: ann, headers: { 'last-event-id': '2' } })
  const since = await watch(t, world, groupId, { by: ann, query: '?since=2' })
  for (const source of [again, since]) t.match([await source.next(), await source.next(), await source.next()], missed.slice(0, 3))
  await bump(world, groupId, 'roster')
  t.match(await again.next(), missed[3])

  for (const seen of ['99', 'x', '-1']) {
    const source = await watch(t, world, groupId, { by: ann, headers: { 'last-event-id': seen } })
    t.match([await source.next(), await source.next()], [{ event: 'hello' }, { event: 'resync', id: '5', data: { version: 5 } }], `the id ${seen} was never sent`)
    source.close()
  }
  await world.db.prepare('DELETE FROM group_changes WHERE group_id = ? AND version < 4').run(groupId)
  const late = await watch(t, world, groupId, { by: ann, headers: { 'last-event-id': '2' } })
  t.match([await late.next(), await late.next()], [{ event: 'hello' }, { event: 'resync', id: '5' }], 'what was missed is not kept any more')
}

async function checkEnds (t: Test, world: World): Promise<void> {
  const { db, clock } = world
  const { ann, bob, made: { groupId }, bobId } = await newGroup(world)
  const [own, other] = [await watch(t, world, groupId, { by: ann }), await watch(t, world, groupId, { by: bob })]
  await Promise.all([own.until('hello'), other.until('hello')])
  await db.tx(async () => {
    await lockGroup(db, groupId, clock.now)
    await db.prepare('UPDATE members SET left_at = ? WHERE id = ?').run(clock.now, bobId)
    await bumpGroupVersion(db, groupId, [{ kind: 'roster', memberId: bobId }], clock.now)
    await tellGroup(db, { groupId, kind: 'removed', memberId: bobId, userId: bob.userId })
  })
  t.match(await other.last(), { event: 'bye', data: { reason: 'removed' } })
  await own.until('roster')
  t.match(await watch(t, world, groupId, { by: bob }), { status: 404 })

  const { public_id: sessionId } = await db.prepare('SELECT public_id FROM sessions WHERE id_hash = ?').get(sha256(ann.headers.cookie?.split('=')[1] ?? '')) ?? {}
  await revokeSession(db, String(sessionId), clock.now)
  t.match(await own.last(), { event: 'bye', data: { reason: 'signed-out' } })

  const next = await newGroup(world)
  const silent = await watch(t, world, next.made.groupId, { by: next.bob })
  await silent.until('hello')
  await db.prepare('UPDATE members SET left_at = ? WHERE id = ?').run(clock.now, next.bobId)
  await hubOf(db).look(clock.now)
  t.match(await silent.last(), { event: 'bye' }, 'nobody has sent word of it')

  const sources = []
  for (let i = 0; i < 5; i++) {
    sources.push(await watch(t, world, next.made.groupId, { by: next.ann }))
    await sources.at(-1)?.until('hello')
  }
  t.match(await sources[0]?.last(), { event: 'bye', data: { reason: 'too-many' } })
  await tellGroup(db, { groupId: next.made.groupId, kind: 'deleted' })
  for (const source of sources.slice(1)) t.match(await source.last(), { event: 'bye', data: { reason: 'deleted' } })
  t.equal(hubOf(db).size, 0, 'nothing is left')
}

async function checkAccess (t: Test, world: World): Promise<void> {
  const { ann, made: { groupId } } = await newGroup(world)
  t.match(await watch(t, world, groupId), { status: 401 })
  t.match(await watch(t, world, groupId, { by: await world.person('Eve') }), { status: 404 })
  for (const accept of ['application/json', 'text/event-stream;q=0']) {
    t.match(await world.ask('GET', `/web/groups/${groupId}/events`, { by: ann, headers: { accept } }), { status: 406, body: { error: { code: 'ONLY_EVENTS' } } })
  }
  await world.db.prepare(`INSERT INTO feature_flags (key, enabled, description, updated_at, updated_by) VALUES ('live', 0, '', 0, '')`).run()
  t.match(await world.ask('GET', `/web/groups/${groupId}/events`, { by: ann }), { status: 403, body: { error: { code: 'FEATURE_NOT_IN_PLAN' } } })
  await world.db.prepare('DELETE FROM feature_flags').run()
  await world.db.prepare('UPDATE groups SET is_demo = 1 WHERE id = ?').run(groupId)
  const source = await watch(t, world, groupId)
  t.match(await source.next(), { event: 'hello' })
  source.close()
}

async function checkOverflow (t: Test, world: World): Promise<void> {
  const queue = new EventQueue()
  for (let version = 1; version <= MOST_QUEUED + 2; version++) queue.push({ event: 'vault', version, data: {} })
  queue.push({ event: 'activity', data: {} })
  const heard = queue[Symbol.asyncIterator]()
  t.strictSame([(await heard.next()).value?.event, (await heard.next()).value?.event, (await heard.next()).value?.event], ['resync', 'vault', 'activity'])
  queue.end('removed')
  queue.push({ event: 'vault', data: {} })
  t.strictSame([(await heard.next()).value?.event, (await heard.next()).done], ['bye', true])

  const { ann, made: { groupId, memberId } } = await newGroup(world)
  const source = await watch(t, world, groupId, { by: ann })
  await source.until('hello')
  // one burst, more than anybody takes in between
  await world.db.tx(async () => {
    for (let i = 0; i < 500; i++) await tellGroup(world.db, { groupId, kind: 'presence', memberId: `${memberId}-${i}` })
    await tellGroup(world.db, { groupId, kind: 'billing' })
  })
  const all = await source.until('billing')
  t.ok(all.filter(({ event }) => event === 'presence').length === 500 || all.some(({ event }) => event === 'resync'), 'all of it, or a word that it is not all')
  await world.db.notify(CHANNEL, 'no news')
  await tellGroup(world.db, { groupId, kind: 'billing' })
  t.match((await source.until('billing')).at(-1), { event: 'billing' }, 'what cannot be read is passed over')
}

void t.test('what one process changes is told by another, on postgres', async t => {
  const world = await startWorld(t, 'postgres')
  const second = await startWorld(t, 'postgres', { url: world.url })
  const { ann, made: { groupId, memberId } } = await newGroup(world)
  const source = await watch(t, second, groupId, { by: ann })
  await source.until('hello')
  const version = await putContainers(world, groupId, [{ memberId, container: 'bank', items: [[4, 1]] }])
  t.match(await source.next(), { event: 'vault', id: String(version) })
  await world.db.prepare(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%LISTEN %' AND pid <> pg_backend_pid()`).run()
  t.match((await source.until('resync')).at(-1), { event: 'resync' }, 'something may have been missed')
  await revokeSession(world.db, String((await world.db.prepare('SELECT public_id FROM sessions WHERE user_id = ?').get(ann.userId))?.public_id), world.clock.now)
  t.match(await source.last(), { event: 'bye', data: { reason: 'signed-out' } })
})
