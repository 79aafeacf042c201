/** The plugin of the public group tracker can report here: its routes, its lists, its limits, its plain text. */
import t from 'tap'
import { normalizeName } from '../../../services/common/names.ts'
import { sha256 } from '../../../services/common/secrets.ts'
import { BANK_STACKS, compatLogin, compatTick, COINS, flat, inventory, stacks } from '../../data/vault-payloads.ts'
import { engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { allOf, slotsOf, versionOf } from './reporter.ts'
import { startWorld } from './world.ts'

const TOKEN = '8c2a6a9e-4b0e-4f0e-9d0a-0f6f3f1e2d3c'

for (const engine of engines) {
  void t.test(`the public plugin, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const owner = await world.person('Ann')
    const { groupId, memberId } = await world.group(owner, 'Iron Four')
    await world.db.prepare('UPDATE groups SET compat_name_norm = ?, compat_token_hash = ? WHERE id = ?').run(normalizeName('Iron Four'), sha256(TOKEN), groupId)
    await world.db.prepare('UPDATE members SET character_name = ?, character_norm = ? WHERE id = ?').run('Zezima', 'zezima', memberId)
    const headers = { authorization: TOKEN }
    const post = async (body: object | string, more: { headers?: Record<string, string>, path?: string } = {}) =>
      await world.ask('POST', more.path ?? '//api/group/Iron%20Four/update-group-member', { body, headers: { 'content-type': 'application/json', ...headers, ...more.headers } })
    const version = async (): Promise<number> => await versionOf(world, groupId)

    await t.test('who is in the group is told so with nothing', async t => {
      for (const name of ['Zezima', 'zezima', 'ZEZIMA%20']) t.match(await world.ask('GET', `//api/group/iron_four/am-i-in-group?member_name=${name}`, { headers }), { status: 200, text: '' })
      for (const [path, given, status] of [
        ['//api/group/iron_four/am-i-in-group?member_name=B0aty', headers, 401], ['//api/group/nobody/am-i-in-group?member_name=Zezima', headers, 401], ['//api/group/_/am-i-in-group?member_name=Zezima', headers, 401],
        ['//api/group/iron_four/am-i-in-group?member_name=Zezima', { authorization: 'x' }, 401], ['//api/group/iron_four/am-i-in-group?member_name=%40SHARED', headers, 401],
        ['//api/group/iron_four/am-i-in-group?member_name=Zezima', {}, 400], ['//api/group/iron_four/am-i-in-group', headers, 400]
      ] as const) {
        const answer = await world.ask('GET', path, { headers: given })
        t.match(answer, { status, headers: { 'content-type': /^text\/plain/ } }, path)
        t.notMatch(answer.text, /^\{/)
      }
    })

    await t.test('a login is stored, and a tick writes what differs', async t => {
      const before = await version()
      t.match(await post(compatLogin('Zezima', 1)), { status: 200, text: '' })
      t.equal(await version(), before + 1)
      t.equal(Object.keys(await slotsOf(world, memberId, 'bank')).length, BANK_STACKS)
      t.equal(Object.keys(await slotsOf(world, await world.sharedMember({ groupId }), 'shared')).length, 20)
      t.strictSame(await slotsOf(world, memberId, 'quiver'), { 0: [892, 400] })
      t.strictSame(await slotsOf(world, memberId, 'rune_pouch'), { 0: [554, 1000], 1: [555, 2000], 2: [560, 300] })
      await post(compatTick('Zezima', 1))
      t.equal(await version(), before + 1, 'the same again is no change')
      await post(compatTick('Zezima', 2))
      t.equal(await version(), before + 2)
    })

    await t.test('what was deposited counts once in a minute', async t => {
      await post({ name: 'Zezima', bank: [COINS, 100] })
      const deposit = { name: 'Zezima', inventory: flat(inventory(3)), deposited: [COINS, 5, 561, 2] }
      await post(deposit)
      await post(deposit)
      t.strictSame(await slotsOf(world, memberId, 'bank'), { 561: [561, 2], [COINS]: [COINS, 105] })
      world.clock.now += 60_001
      await post(deposit)
      t.strictSame(await slotsOf(world, memberId, 'bank'), { 561: [561, 4], [COINS]: [COINS, 110] })
      await post({ ...deposit, inventory: flat(inventory(4)) })
      t.match(await world.db.prepare(`SELECT approximate FROM containers WHERE member_id = ? AND container = 'bank'`).get(memberId), { approximate: 1 })
      await post({ name: 'Zezima', bank: [COINS, 115, 561, 6] })
      t.match(await world.db.prepare(`SELECT approximate FROM containers WHERE member_id = ? AND container = 'bank'`).get(memberId), { approximate: 0 })
    })

    await t.test('what is not as that server asks for is refused, and nothing of it is stored', async t => {
      const before = await allOf(world, groupId)
      const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => 1 + i)
      for (const [name, field, value] of [
        ['27 places', 'inventory', numbers(54)], ['29 places', 'inventory', numbers(58)], ['13 pieces', 'equipment', numbers(26)], ['half an item', 'bank', numbers(3)], ['1501 stacks', 'bank', numbers(3002)],
        ['501 stacks', 'shared_bank', numbers(1002)], ['2 runes', 'rune_pouch', numbers(4)], ['5 runes', 'rune_pouch', numbers(10)], ['251 seeds', 'seed_vault', numbers(502)], ['201 potions', 'potion_storage', numbers(402)],
        ['101 deposits', 'deposited', numbers(202)], ['22 skills', 'skills', numbers(22)], ['two coordinates', 'coordinates', [1, 2]], ['6 stats', 'stats', numbers(6)], ['251 quests', 'quests', numbers(251)],
        ['63 diaries', 'diary_vars', numbers(63)], ['4002 in the log', 'collection_log_v2', numbers(4002)], ['texts', 'bank', ['995', '1']], ['halves', 'bank', [995, 0.5]], ['beyond 32 bits', 'bank', [995, 2 ** 31]],
        ['too much together', 'bank', [995, 2 ** 31 - 1, 995, 1]], ['no list', 'bank', { 995: 1 }]
      ] as const) {
        const answer = await post({ name: 'Zezima', inventory: flat(inventory(9)), [field]: value })
        t.match(answer, { status: 400, headers: { 'content-type': /^text\/plain/ }, text: new RegExp(`^/body/${field} |^/body/${field}/`) }, name)
      }
      for (const [body, status] of [['{"name":', 400], ['[]', 400], [{ bank: [] }, 400], [{ name: 5 }, 400], [{ name: 'Nobody', bank: [] }, 401], [{ name: 'Zezima', note: 'x'.repeat(100_000) }, 413]] as const) {
        t.match(await post(body), { status, headers: { 'content-type': /^text\/plain/ } })
      }
      t.match(await post({ name: 'Zezima' }, { headers: { authorization: 'wrong' } }), { status: 401 })
      t.match(await world.ask('POST', '//api/group/Iron%20Four/update-group-member', { body: { name: 'Zezima' } }), { status: 400 })
      t.strictSame(await allOf(world, groupId), before)
      t.match(await post({ name: 'Zezima', bank: null, deposited: null, unknown: {} }), { status: 200 }, 'null is as if it was not there')
    })

    await t.test('a report that fails in the middle is not there, and its deposits count when it comes again', async t => {
      const report = { name: 'Zezima', inventory: flat(inventory(12)), shared_bank: flat(stacks(50, 5)), deposited: [562, 3] }
      const before = await allOf(world, groupId)
      await whileRefused(world.db, 'INSERT', 'idempotency_keys', async () => { t.match(await post(report), { status: 500, headers: { 'content-type': /^text\/plain/ }, text: /could not be answered/ }) })
      t.strictSame(await allOf(world, groupId), before)
      t.match(await post(report), { status: 200 })
      t.strictSame((await slotsOf(world, memberId, 'bank'))[562], [562, 3])
    })

    await t.test('a token that was switched off is not valid any more', async t => {
      await world.db.prepare('UPDATE groups SET compat_token_hash = NULL WHERE id = ?').run(groupId)
      t.match(await post({ name: 'Zezima', bank: [] }), { status: 401 })
      const { applyCompatReport } = await import('../../../services/sync/store/compat.ts')
      const late = applyCompatReport(world.db, { groupId, memberId, tokenHash: sha256(TOKEN) }, { contents: new Map(), deposits: [{ slot: 1, itemId: 1, quantity: 1 }] }, world.clock.now)
      await t.rejects(late, { code: 'TDM_ERR_VAULT_COMPAT_DENIED' }, 'also between the check and the lock')
    })
  })

  void t.test(`five players behind one token each have their own limit, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { rateLimitFactor: 1 })
    const owner = await world.person('Ann')
    const group = await world.group(owner, 'Five')
    await world.db.prepare('UPDATE groups SET compat_name_norm = ?, compat_token_hash = ? WHERE id = ?').run('five', sha256(TOKEN), group.groupId)
    for (const name of ['a', 'b', 'c']) await world.join(await world.person(name), group, { characterName: name })
    const tick = async (name: string): Promise<number> => (await world.ask('POST', '//api/group/five/update-group-member', { body: { name, coordinates: [1, 2, 3] }, headers: { authorization: TOKEN } })).status
    for (const name of ['a', 'b', 'c']) for (let i = 0; i < 15; i++) t.equal(await tick(name), 200)
    t.equal(await tick('a'), 429)
  })
}
