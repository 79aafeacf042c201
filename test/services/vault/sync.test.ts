/** What plugins report of containers: never back, nothing twice, all of a request or nothing (I5 to I8, I11; T9, T10, T11). */
import { createHash, randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { EngineName } from '../../../plugins/db/types.ts'
import { CHANNEL } from '../../../services/groups/lock.ts'
import { BANK_STACKS, COINS, events, inventory, login, stacks, tick } from '../../data/vault-payloads.ts'
import { engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { allOf, Reporter, slotsOf, versionOf } from './reporter.ts'
import { startWorld, type Json, type MadeGroup, type World } from './world.ts'

interface Scene { world: World, group: MadeGroup, ann: Reporter, bob: Reporter, bobId: string, shared: string }

/** Ann and Bob in a group, each with a plugin that has begun. */
async function startScene (t: Test, engine: EngineName): Promise<Scene> {
  const world = await startWorld(t, engine)
  const owner = await world.person('Ann')
  const group = await world.group(owner)
  const other = await world.person('Bob')
  const bobId = await world.join(other, group)
  const ann = new Reporter(world, await world.plugin(owner, group))
  const bob = new Reporter(world, await world.plugin(other, { groupId: group.groupId, memberId: bobId }))
  await ann.open('-7239145530219944617', 'Zezima')
  await bob.open('42', 'B0aty')
  return { world, group, ann, bob, bobId, shared: await world.sharedMember(group) }
}

for (const engine of engines) {
  void t.test(`containers, on ${engine}`, async t => {
    const { world, group, ann, bob, bobId, shared } = await startScene(t, engine)
    const { groupId, memberId } = group
    const version = async (): Promise<number> => await versionOf(world, groupId)

    await t.test('a login is one change of the group, and is what the tables hold', async t => {
      const before = await version()
      const { status, body } = await ann.send(login(1))
      t.equal(status, 200)
      t.equal(body.groupVersion, before + 1)
      t.strictSame([...new Set(Object.values(body.results))], ['applied'])
      t.equal(Object.keys(await slotsOf(world, memberId, 'bank')).length, BANK_STACKS)
      t.strictSame(await slotsOf(world, memberId, 'quiver'), { 0: [892, 400] })
      t.strictSame(await slotsOf(world, memberId, 'shared'), {}, 'that is not hers')
      t.equal(Object.keys(await slotsOf(world, shared, 'shared')).length, 80)
      t.equal((await world.db.prepare('SELECT container FROM group_changes WHERE group_id = ? AND version = ?').all(groupId, before + 1)).length, 8)
      t.strictSame([...new Set((await world.db.prepare('SELECT version FROM containers WHERE group_id = ?').all(groupId)).map(row => row.version))], [before + 1])
      t.strictSame(await world.db.prepare(`SELECT id FROM activity_events WHERE type = 'storage.changed'`).all(), [], 'what was seen for the first time was not put in now')
    })

    await t.test('I8: what is equal moves the mark and when it was seen, and nothing else', async t => {
      const heard: string[] = []
      const listener = await world.db.listen(CHANNEL, ({ payload = '' }) => heard.push(payload))
      const before = await allOf(world, groupId) as Array<Array<Record<string, unknown>>>
      world.clock.now += 1000
      const { body } = await ann.send(login(1))
      t.strictSame([...new Set(Object.values(body.results))], ['unchanged'])
      t.equal(body.groupVersion, await version())
      const after = await allOf(world, groupId) as Array<Array<Record<string, unknown>>>
      const moves = new Set(['epoch', 'seq', 'received_at', 'captured_at', 'updated_at', 'last_sync_at'])
      const still = (rows: Array<Record<string, unknown>> = []): unknown => rows.map(row => Object.fromEntries(Object.entries(row).filter(([name]) => !moves.has(name))))
      t.strictSame(after.map(still), before.map(still))
      t.strictSame([...new Set((after[2] ?? []).filter(mark => mark.writer_member_id === memberId).map(({ seq }) => seq))], [ann.seq])
      t.strictSame([...new Set((after[0] ?? []).map(({ received_at: at }) => at))], [world.clock.now])
      await bob.send(tick(9))
      await listener.close()
      t.ok(heard.length <= 1, 'nobody is told of it')
    })

    await t.test('I5: late and repeated reports change nothing, and a new start ends what came before', async t => {
      await ann.send(tick(2))
      const before = await allOf(world, groupId)
      for (const seq of [ann.seq, ann.seq - 1, 0]) t.strictSame((await ann.send(tick(3), { seq })).body.results, { inventory: 'stale' })
      t.strictSame(await allOf(world, groupId), before)
      ann.seq -= 3
      const old = ann.epoch
      t.match(await ann.open('-7239145530219944617', 'Zezima'), { status: 201, body: { epoch: old + 1, renamed: false } })
      t.strictSame((await ann.send(tick(3))).body.results, { inventory: 'applied' })
      t.strictSame((await ann.send(tick(4), { epoch: old, seq: 9999 })).body.results, { inventory: 'stale' })
      t.match(await ann.send(tick(4), { epoch: old + 2 }), { status: 409, body: { error: { code: 'EPOCH_UNKNOWN' } } })
    })

    await t.test('of one request some may be new and others late', async t => {
      await ann.send({ equipment: { items: [[4151, 1]] } })
      const { seq } = ann
      await ann.send(tick(5), { seq: seq + 10 })
      const { body } = await ann.send({ ...tick(6), equipment: { items: [[11_802, 1]] } }, { seq: seq + 5 })
      t.strictSame(body.results, { equipment: 'applied', inventory: 'stale' })
      ann.seq = seq + 10
    })

    await t.test('places count, empty ones are not kept; an empty list is known and empty', async t => {
      await ann.send({ inventory: { items: [[-1, 0], [0, 0], [4151, 1], [561, 0], [562, -3], [995, 2_147_483_647]] } })
      t.strictSame(await slotsOf(world, memberId, 'inventory'), { 2: [4151, 1], 5: [995, 2_147_483_647] })
      t.strictSame((await ann.send({ inventory: { items: [[0, 0], [0, 0], [4151, 1], [0, 0], [0, 0], [995, 2_147_483_647], [0, 0]] } })).body.results, { inventory: 'unchanged' }, 'whatever is empty behind')
      t.strictSame((await ann.send({ inventory: { items: [] } })).body.results, { inventory: 'applied' })
      t.strictSame(await slotsOf(world, memberId, 'inventory'), {})
      t.match(await world.db.prepare(`SELECT item_count FROM containers WHERE member_id = ? AND container = 'inventory'`).get(memberId), { item_count: 0 })
    })

    await t.test('stacks of one item are added up, in any order', async t => {
      await ann.send({ seed_vault: { items: [[5291, 3], [5290, 1], [5291, 4], [0, 5], [-1, 2], [5292, 0]] } })
      t.strictSame(await slotsOf(world, memberId, 'seed_vault'), { 5290: [5290, 1], 5291: [5291, 7] })
      t.strictSame((await ann.send({ seed_vault: { items: [[5291, 7], [5290, 1]] } })).body.results, { seed_vault: 'unchanged' })
    })

    await t.test('a bank with one change writes one row, and is as reported', async t => {
      const items = stacks(1, BANK_STACKS)
      const changed = items.filter(([id]) => id !== items[5]?.[0]).map(([id, n]): [number, number] => [id, id === COINS ? n + 1 : n])
      t.strictSame((await ann.send({ bank: { items: [...changed, [33_900, 1]] } })).body.results, { bank: 'applied' })
      t.strictSame(await slotsOf(world, memberId, 'bank'), Object.fromEntries([...changed, [33_900, 1] as [number, number]].map(([id, n]) => [id, [id, n]])))
    })

    await t.test('one container by name, and what there is not', async t => {
      const body = { epoch: ann.epoch, seq: ++ann.seq, capturedAt: new Date(world.clock.now).toISOString(), items: [[560, 12]] }
      t.match(await world.ask('PUT', '/sync/containers/rune_pouch', { by: ann.plugin, body }), { status: 200, body: { result: 'applied', groupVersion: await version() } })
      t.match(await world.ask('PUT', '/sync/containers/rune_pouch', { by: ann.plugin, body }), { body: { result: 'stale' } })
      for (const method of ['PUT', 'DELETE'] as const) {
        const path = `/sync/containers/looting_bag${method === 'DELETE' ? '?epoch=1&seq=1' : ''}`
        t.match(await world.ask(method, path, { by: ann.plugin, ...(method === 'PUT' && { body }) }), { status: 404, body: { error: { code: 'CONTAINER_UNKNOWN' } } })
      }
    })

    await t.test('what is taken away was never synced, and what is late does not bring it back', async t => {
      await bob.send({ seed_vault: { items: [[5291, 1]] } })
      const before = await version()
      const { seq } = bob
      const clear = async (n: number): Promise<Json> => (await world.ask<Json>('DELETE', `/sync/containers/seed_vault?epoch=${bob.epoch}&seq=${n}`, { by: bob.plugin })).body
      t.match(await clear(seq), { result: 'stale' })
      t.match(await clear(seq + 2), { result: 'applied', groupVersion: before + 1 })
      t.match(await clear(seq + 3), { result: 'unchanged', groupVersion: before + 1 })
      t.strictSame((await bob.send({ seed_vault: { items: [[5291, 1]] } })).body.results, { seed_vault: 'stale' })
      t.strictSame(await slotsOf(world, bobId, 'seed_vault'), {})
      t.equal((await world.ask<Json>('GET', '/sync/state', { by: bob.plugin })).body.containers?.seed_vault, undefined)
      bob.seq = seq + 3
      t.strictSame((await bob.send({ seed_vault: { items: [] } })).body.results, { seed_vault: 'applied' })
    })

    await t.test('I6: between writers of the shared storage counts when it was seen, with two seconds of grace', async t => {
      const at = (ms: number): object => ({ capturedAt: new Date(world.clock.now + ms).toISOString() })
      world.clock.now += 10_000
      t.strictSame((await ann.send({ shared: { items: [[COINS, 100]] } })).body.results, { shared: 'applied' })
      t.strictSame((await bob.send({ shared: { items: [[COINS, 5]] } }, at(-2001))).body.results, { shared: 'stale' })
      t.strictSame((await bob.send({ shared: { items: [[COINS, 60], [4151, 1]] } }, at(-2000))).body.results, { shared: 'applied' })
      t.strictSame((await ann.send({ shared: { items: [[COINS, 1]] } }, at(3_600_000))).body.results, { shared: 'applied' }, 'nobody is ahead of the server')
      t.strictSame((await bob.send({ shared: { items: [[COINS, 2]] } })).body.results, { shared: 'applied' })
      t.strictSame((await bob.send({ shared: { items: [[COINS, 3]] } }, at(-60_000))).body.results, { shared: 'applied' }, 'of one writer the number counts')
      await bob.open('42', 'B0aty', { clientTime: new Date(world.clock.now - 3_600_000).toISOString() })
      t.strictSame((await bob.send({ shared: { items: [[COINS, 4]] } }, at(-3_600_000))).body.results, { shared: 'applied' }, 'a clock that is an hour late is known to be')
      t.strictSame((await ann.send({ shared: { items: [[COINS, 4]] } })).body.results, { shared: 'unchanged' })
      t.strictSame((await bob.send({ shared: { items: [[COINS, 9]] } }, at(-3_602_001))).body.results, { shared: 'stale' }, 'what was seen to be equal counts as seen')
      const rows = await world.db.prepare(`SELECT member_id, data FROM activity_events WHERE group_id = ? AND type = 'storage.changed' ORDER BY group_seq`).all(groupId)
      t.strictSame(rows.slice(1, 3).map(({ member_id: by, data }) => [by, JSON.parse(String(data)) as unknown]), [
        [bobId, { deposits: [{ itemId: 4151, quantity: 1 }], withdrawals: [{ itemId: COINS, quantity: 40 }], more: 0 }],
        [memberId, { deposits: [], withdrawals: [{ itemId: COINS, quantity: 59 }, { itemId: 4151, quantity: 1 }], more: 0 }]
      ])
      await bob.open('42', 'B0aty')
    })

    await t.test('a plugin that starts again is told what need not be sent', async t => {
      await ann.send({ quiver: { items: [[892, 7]] } })
      const { body } = await world.ask<{ epoch: number, containers: Record<string, { epoch: number, seq: number, hash: string }> }>('GET', '/sync/state', { by: ann.plugin })
      t.match(body, { epoch: ann.epoch, containers: { quiver: { epoch: ann.epoch, seq: ann.seq, hash: createHash('sha256').update('[[892,7]]').digest('hex') } } })
      t.strictSame(Object.keys(body.containers), ['bank', 'equipment', 'inventory', 'potion_storage', 'quiver', 'rune_pouch', 'seed_vault', 'shared'])
    })

    await t.test('two reports of one plugin at once: both are answered, the later one stands', async t => {
      const { seq } = ann
      const reports = await Promise.all(Array.from({ length: 12 }, async (_, i) => await ann.send({ quiver: { items: [[892, 1 + i % 3]] } }, { seq: seq + 1 + (i * 5) % 12 })))
      t.strictSame([...new Set(reports.map(({ status }) => status))], [200])
      const last = Array.from({ length: 12 }, (_, i) => i).find(i => (i * 5) % 12 === 11) ?? 0
      t.strictSame(await slotsOf(world, memberId, 'quiver'), { 0: [892, 1 + last % 3] })
      ann.seq = seq + 12
    })

    await t.test('T10: a report that fails in the middle leaves everything as it was', async t => {
      await ann.send({ ...tick(20), shared: { items: [[COINS, 500]] } })
      const before = await allOf(world, groupId)
      for (const [happening, table] of [['INSERT', 'container_items'], ['UPDATE', 'sync_marks'], ['INSERT', 'activity_events'], ['INSERT', 'group_changes'], ['UPDATE', 'containers']] as const) {
        await whileRefused(world.db, happening, table, async () => { t.match(await ann.send({ inventory: { items: inventory(21) }, shared: { items: [[COINS, 400], [4151, 2]] } }), { status: 500, body: { error: { code: 'INTERNAL' } } }, table) })
        t.strictSame(await allOf(world, groupId), before, table)
      }
      t.match(await ann.send(tick(21)), { status: 200, body: { results: { inventory: 'applied' } } })
    })

    await t.test('T9: a session that fails issues no epoch', async t => {
      const { epoch } = ann
      await whileRefused(world.db, 'INSERT', 'group_changes', async () => { t.match(await ann.open('-7239145530219944617', 'Zezima II'), { status: 500 }) })
      t.match(await world.db.prepare('SELECT sync_epoch, character_name FROM members WHERE id = ?').get(memberId), { sync_epoch: epoch, character_name: 'Zezima' })
      const epochs = (await Promise.all(Array.from({ length: 5 }, async () => await ann.open('-7239145530219944617', 'Zezima')))).map(({ body }) => Number(body.epoch))
      t.strictSame(epochs.sort((a, b) => a - b), [1, 2, 3, 4, 5].map(n => epoch + n), 'two never have one')
      ann.epoch = epoch + 5
    })
  })

  void t.test(`deltas, on ${engine}`, async t => {
    const { world, group, ann } = await startScene(t, engine)
    const { groupId, memberId } = group
    const bank = async (): Promise<unknown> => await slotsOf(world, memberId, 'bank')
    const isApproximate = async (): Promise<unknown> => (await world.db.prepare(`SELECT approximate FROM containers WHERE member_id = ? AND container = 'bank'`).get(memberId))?.approximate

    await t.test('I7: each counts once, in any order, until a snapshot has it', async t => {
      await ann.send({ bank: { items: [[COINS, 100]] } })
      const first = randomUUID()
      const before = await versionOf(world, groupId)
      t.match(await ann.delta(first, [[COINS, 5], [560, 2], [560, 1]]), { status: 200, body: { result: 'applied', groupVersion: before + 1 } })
      const { seq } = ann
      t.match(await ann.delta(first, [[COINS, 5], [560, 3]], { seq }), { body: { result: 'duplicate', groupVersion: before + 1 } })
      t.match(await ann.delta(first, [[COINS, 6]], { seq }), { status: 422, body: { error: { code: 'IDEMPOTENCY_MISMATCH' } } })
      t.strictSame(await bank(), { 560: [560, 3], [COINS]: [COINS, 105] })
      t.equal(await isApproximate(), 1)
      await ann.send({ bank: { items: [[COINS, 300]] } }, { seq: seq + 20 })
      t.equal(await isApproximate(), 0)
      t.match(await ann.delta(randomUUID(), [[COINS, 7]], { seq: seq + 10 }), { body: { result: 'superseded' } })
      t.match(await ann.delta(randomUUID(), [[COINS, 7]], { seq: seq + 31 }), { body: { result: 'applied' } })
      t.match(await ann.delta(randomUUID(), [[COINS, 2]], { seq: seq + 30 }), { body: { result: 'applied' } })
      t.strictSame(await bank(), { [COINS]: [COINS, 309] })
      ann.seq = seq + 31
    })

    await t.test('a snapshot that comes late does not undo the deltas behind it', async t => {
      const { seq } = ann
      await ann.delta(randomUUID(), [[COINS, 50]], { seq: seq + 5 })
      t.match(await ann.send({ bank: { items: [[COINS, 1000]] } }, { seq: seq + 3 }), { body: { results: { bank: 'applied' } } })
      t.strictSame(await bank(), { [COINS]: [COINS, 1050] })
      t.equal(await isApproximate(), 1)
      t.match(await ann.send({ bank: { items: [[COINS, 1050]] } }, { seq: seq + 6 }), { body: { results: { bank: 'applied' } } }, 'it is exact again, which can be seen')
      t.equal(await isApproximate(), 0)
      ann.seq = seq + 6
    })

    await t.test('one of several at once counts; a full stack stays full; a bank that nobody saw begins with it', async t => {
      const id = randomUUID()
      const seq = ann.seq + 1
      const answers = await Promise.all(Array.from({ length: 6 }, async () => await ann.delta(id, [[COINS, 1]], { seq })))
      t.strictSame(answers.map(({ body }) => body.result).sort(), ['applied', ...Array.from({ length: 5 }, () => 'duplicate')])
      await ann.delta(randomUUID(), [[COINS, 2_147_483_647]])
      t.strictSame(await bank(), { [COINS]: [COINS, 2_147_483_647] })
      t.match(await world.ask('DELETE', `/sync/containers/bank?epoch=${ann.epoch}&seq=${++ann.seq}`, { by: ann.plugin }), { body: { result: 'applied' } })
      await ann.delta(randomUUID(), [[561, 10]])
      t.strictSame(await bank(), { 561: [561, 10] })
      t.equal(await isApproximate(), 1)
    })

    await t.test('T11: a delta that fails in the middle can be sent again', async t => {
      const before = await allOf(world, groupId)
      const id = randomUUID()
      for (const [happening, table] of [['UPDATE', 'container_items'], ['UPDATE', 'containers'], ['INSERT', 'group_changes']] as const) {
        await whileRefused(world.db, happening, table, async () => { t.match(await ann.delta(id, [[561, 1]], { seq: 500 }), { status: 500 }, table) })
        t.strictSame(await allOf(world, groupId), before, table)
      }
      t.match(await ann.delta(id, [[561, 1]], { seq: 500 }), { body: { result: 'applied' } })
      t.match(await ann.delta(id, [[561, 1]], { seq: 500 }), { body: { result: 'duplicate' } })
    })
  })

  void t.test(`sessions, presence and events, on ${engine}`, async t => {
    const { world, group, ann, bob, bobId } = await startScene(t, engine)
    const { groupId, memberId } = group

    await t.test('a plugin is told whom it reports for, and the limits', async t => {
      t.match(await world.ask('GET', '/sync/hello', { by: ann.plugin }), {
        status: 200,
        body: {
          member: { id: memberId, characterName: 'Zezima' }, group: { id: groupId, name: 'Anns' }, epoch: 1, minPluginVersion: '1.0.0', intervals: { activeSeconds: 2, idleSeconds: 30 },
          limits: { containers: { inventory: { kind: 'positional', size: 28 }, bank: { kind: 'unordered', size: 1500 } } }, features: { live: true }
        }
      })
      t.match(await world.ask('GET', '/sync/hello?pluginVersion=0.9', { by: ann.plugin }), { status: 426, body: { error: { code: 'PLUGIN_TOO_OLD' } } })
      t.match(await world.ask('GET', '/sync/hello?pluginVersion=2.0.1', { by: ann.plugin }), { status: 200 })
      t.match(await world.db.prepare('SELECT plugin_version FROM plugin_tokens WHERE id = ?').get(ann.plugin.tokenId), { plugin_version: '2.0.1' })
    })

    await t.test('a member is one account: a known one may be renamed, another one is refused', async t => {
      const before = await versionOf(world, groupId)
      t.match(await ann.open('-7239145530219944617', 'Zezima  2'), { status: 201, body: { renamed: true } })
      t.equal(await versionOf(world, groupId), before + 1)
      t.match(await world.db.prepare('SELECT account_hash, character_name, character_norm FROM members WHERE id = ?').get(memberId), { account_hash: '-7239145530219944617', character_name: 'Zezima  2', character_norm: 'zezima  2' })
      const { epoch } = ann
      t.match(await ann.open('43', 'Zezima  2'), { status: 409, body: { error: { code: 'CHARACTER_MISMATCH' } } })
      t.match(await ann.open('-7239145530219944617', 'b0ATY'), { status: 409, body: { error: { code: 'CHARACTER_MISMATCH' } } }, 'another member plays that one')
      t.equal(ann.epoch, epoch)
    })

    await t.test('presence is written every 15 s, and told when others see a difference', async t => {
      const heard: string[] = []
      const listener = await world.db.listen(CHANNEL, ({ payload = '' }) => heard.push(payload))
      const beat = async (body: object): Promise<void> => { t.match(await world.ask('POST', '/sync/heartbeat', { by: bob.plugin, body }), { status: 204, text: '' }) }
      const seen = async (): Promise<unknown> => await world.db.prepare('SELECT last_seen_at, last_world, last_activity FROM members WHERE id = ?').get(bobId)
      const start = world.clock.now
      const version = await versionOf(world, groupId)
      await beat({ world: 330, activity: 'fishing' })
      t.match(await seen(), { last_seen_at: start, last_world: 330, last_activity: 'fishing' })
      world.clock.now += 14_999
      await beat({ world: 331 })
      t.match(await seen(), { last_seen_at: start, last_world: 330 })
      world.clock.now += 1
      await beat({ world: 330, activity: 'fishing' })
      t.match(await seen(), { last_seen_at: start + 15_000 })
      world.clock.now += 15_000
      await beat({})
      t.match(await seen(), { last_seen_at: start + 30_000, last_world: null })
      await world.db.notify(CHANNEL, 'end')
      while (!heard.includes('end')) await new Promise(resolve => { setImmediate(resolve) })
      await listener.close()
      t.strictSame(heard.filter(text => text.includes(bobId)).length, 2, 'that he came, and that he went from the world; not that he is still there')
      t.equal(await versionOf(world, groupId), version)
    })

    await t.test('each event once; what nobody knows is other; what is the app\'s cannot be claimed', async t => {
      const at = new Date(world.clock.now + 60_000).toISOString()
      const body = { events: [...events(at, 1), ...events(at, 1).slice(0, 1), { eventId: 'x', type: 'member.left', occurredAt: at, data: { name: 'Bob' } }] }
      t.match(await world.ask('POST', '/sync/events', { by: ann.plugin, body }), { status: 202, body: { accepted: 5, duplicates: 1 } })
      t.match(await world.ask('POST', '/sync/events', { by: ann.plugin, body }), { status: 202, body: { accepted: 0, duplicates: 6 } })
      t.match(await world.ask('POST', '/sync/events', { by: bob.plugin, body }), { body: { accepted: 5 } }, 'ids are a member\'s own')
      const rows = await world.db.prepare(`SELECT type, data, occurred_at FROM activity_events WHERE member_id = ? AND source = 'plugin' ORDER BY group_seq`).all(memberId)
      t.strictSame(rows.map(({ type }) => type), ['loot', 'death', 'level', 'other', 'other'])
      t.match(JSON.parse(String(rows[3]?.data)), { name: 'Snakeling', reportedType: 'pet' })
      t.ok(rows.every(row => Number(row.occurred_at) <= world.clock.now), 'nobody reports of tomorrow')
      const before = await allOf(world, groupId)
      await whileRefused(world.db, 'INSERT', 'activity_events', async () => { t.match(await world.ask('POST', '/sync/events', { by: ann.plugin, body: { events: events(at, 2) } }), { status: 500 }) })
      t.strictSame(await allOf(world, groupId), before)
    })

    await t.test('I16: what was valid when the request came and is not any more under the lock is refused', async t => {
      const before = await versionOf(world, groupId)
      await bob.send(tick(1))
      for (const [what, sql, back] of [
        ['a token that was revoked', `UPDATE plugin_tokens SET revoked_at = 1 WHERE id = '${bob.plugin.tokenId}'`, `UPDATE plugin_tokens SET revoked_at = NULL WHERE id = '${bob.plugin.tokenId}'`],
        ['a member who has left', `UPDATE members SET left_at = 1 WHERE id = '${bobId}'`, `UPDATE members SET left_at = NULL WHERE id = '${bobId}'`],
        ['a group that was deleted', `UPDATE groups SET deleted_at = 1 WHERE id = '${groupId}'`, `UPDATE groups SET deleted_at = NULL WHERE id = '${groupId}'`]
      ] as const) {
        await world.db.exec(sql)
        for (const [method, path] of [['GET', '/sync/hello'], ['POST', '/sync/containers'], ['POST', '/sync/heartbeat'], ['POST', '/sync/deltas'], ['DELETE', '/sync/containers/bank?epoch=1&seq=1']] as const) {
          t.match(await world.ask(method, path, { by: bob.plugin, ...(method === 'POST' && { body: {} }) }), { status: 401, body: { error: { code: 'TOKEN_REVOKED' } } }, `${what}: ${path}`)
        }
        await world.db.exec(back)
      }
      t.equal(await versionOf(world, groupId), before + 1)
    })

    await t.test('a kick that comes between the check of the token and the lock', async t => {
      const { applyContainers } = await import('../../../services/sync/store/apply.ts')
      const { readContent } = await import('../../../services/sync/content.ts')
      const writer = { groupId, memberId: bobId, tokenId: bob.plugin.tokenId }
      const upload = (seed: number) => ({ epoch: bob.epoch, seq: ++bob.seq, capturedAt: world.clock.now, contents: new Map([['inventory' as const, readContent('inventory', inventory(seed), '')]]) })
      await world.db.prepare('UPDATE members SET left_at = 1 WHERE id = ?').run(bobId)
      await t.rejects(applyContainers(world.db, writer, upload(1), world.clock.now), { code: 'TDM_ERR_VAULT_TOKEN_REVOKED' }, 'what is equal')
      await t.rejects(applyContainers(world.db, writer, upload(2), world.clock.now), { code: 'TDM_ERR_VAULT_TOKEN_REVOKED' }, 'what is not')
      await t.rejects(applyContainers(world.db, { ...writer, groupId: 'grp_none' }, upload(2), world.clock.now), { code: 'TDM_ERR_VAULT_TOKEN_REVOKED' })
    })
  })
}
