/** A plugin gets its token: the device flow of RFC 8628, each code answered once, each token handed out once (T7, T8). */
import t from 'tap'
import { engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { startWorld, type Json, type MadeGroup, type Person, type World } from './world.ts'

interface Started { deviceCode: string, userCode: string, verificationUri: string, verificationUriComplete: string, expiresIn: number, interval: number }

const plugin = { pluginName: 'group vault', pluginVersion: '1.2.3', deviceLabel: 'laptop' }

async function start (world: World, body: object = plugin): Promise<Started> {
  return (await world.ask<Started>('POST', '/sync/pair/start', { body })).body
}

async function poll (world: World, { deviceCode }: Started): Promise<[status: number, code: string | undefined, body: { token?: string }]> {
  const { status, body } = await world.ask<{ token?: string, error?: { code: string } }>('POST', '/sync/pair/poll', { body: { deviceCode } })
  return [status, body.error?.code, body]
}

async function approve (world: World, by: Person, { groupId }: Pick<MadeGroup, 'groupId'>, userCode: string, more: object = {}): Promise<[status: number, code: string | undefined]> {
  const { status, body } = await world.ask<Json>('POST', '/sync/pair/approve', { by, body: { userCode, groupId, allow: true, ...more } })
  return [status, body.error?.code as string | undefined]
}

for (const engine of engines) {
  void t.test(`pairing, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const ann = await world.person('Ann')
    const group = await world.group(ann)

    await t.test('a plugin is confirmed, and is handed its token once', async t => {
      const started = await start(world)
      t.match(started, { userCode: /^[B-Z]{4}-[B-Z]{4}$/, verificationUri: 'http://localhost:80/app/link', expiresIn: 600, interval: 5 })
      t.equal(started.verificationUriComplete, `http://localhost:80/app/link?code=${started.userCode}`)
      t.match(await poll(world, started), [400, 'authorization_pending'])
      t.strictSame((await world.ask('POST', '/sync/pair/approve', { by: ann, body: { userCode: ` ${started.userCode.toLowerCase().replace('-', ' ')}`, groupId: group.groupId, allow: true, label: 'gaming PC' } })).body,
        { deviceLabel: 'gaming PC', pluginVersion: '1.2.3' }, 'however the code is typed')
      const [status, , paired] = await poll(world, started)
      const { token = '' } = paired
      t.equal(status, 200)
      t.match(paired, { token: /^gv_[0-9A-Za-z]{49}$/, member: { id: group.memberId, displayName: 'Ann', characterName: null }, group: { id: group.groupId, name: 'Anns' } })
      t.match(await poll(world, started), [400, 'expired_token'], 'and not once more')
      t.match(await world.ask('GET', '/sync/hello', { headers: { authorization: `Bearer ${token}` } }), { status: 200, body: { member: { id: group.memberId } } })
      const row = await world.db.prepare('SELECT token_hash, prefix, label FROM plugin_tokens WHERE member_id = ?').get(group.memberId)
      t.match(row, { token_hash: /^[0-9a-f]{64}$/, prefix: token.slice(0, 9), label: 'gaming PC' })
    })

    await t.test('who asks too soon has to wait longer, also the next time', async t => {
      const started = await start(world)
      t.match(await poll(world, started), [400, 'authorization_pending'])
      t.match(await poll(world, started), [400, 'slow_down'])
      world.clock.now += 6_000
      t.match(await poll(world, started), [400, 'slow_down'], 'it is 10 s by now, and 15 from here on')
      world.clock.now += 16_000
      t.match(await poll(world, started), [400, 'authorization_pending'])
      t.match(await world.db.prepare('SELECT interval_s FROM pairings ORDER BY created_at DESC, id DESC LIMIT 1').get(), { interval_s: 15 })
    })

    await t.test('a plugin that was refused, or waited too long, gets nothing', async t => {
      const refused = await start(world)
      t.strictSame(await approve(world, ann, group, refused.userCode, { allow: false }), [200, undefined])
      t.match(await poll(world, refused), [400, 'access_denied'])
      const late = await start(world)
      const confirmedLate = await start(world)
      await approve(world, ann, group, confirmedLate.userCode)
      world.clock.now += 600_000
      t.match(await poll(world, late), [400, 'expired_token'])
      t.match(await poll(world, confirmedLate), [400, 'expired_token'])
      t.strictSame(await approve(world, ann, group, late.userCode), [404, 'USER_CODE_INVALID'])
      t.match(await poll(world, { ...late, deviceCode: 'A'.repeat(43) }), [400, 'expired_token'])
    })

    await t.test('a code is answered once, and by a member of the group', async t => {
      const bob = await world.person('Bob')
      const started = await start(world)
      t.strictSame(await approve(world, bob, group, started.userCode), [404, 'NOT_FOUND'])
      t.strictSame((await Promise.all([approve(world, ann, group, started.userCode), approve(world, ann, group, started.userCode)])).map(([status]) => status).sort(), [200, 409])
      t.strictSame(await approve(world, ann, group, started.userCode, { allow: false }), [409, 'ALREADY_USED'])
      t.strictSame((await Promise.all([poll(world, started), poll(world, started), poll(world, started)])).map(([status]) => status).sort(), [200, 400, 400], 'T8: one token')
      t.match(await world.db.prepare('SELECT COUNT(*) AS count FROM plugin_tokens WHERE member_id = ?').get(group.memberId), { count: 2 })
    })

    await t.test('who guesses codes is not told whether the next one is right', async t => {
      const eve = await world.person('Eve')
      const hers = await world.group(eve)
      const started = await start(world)
      for (const code of ['BBBB-BBBB', 'AEIO-UAEI', 'x', 'ÄÖÜ', 'BCDF-GHJK']) t.strictSame(await approve(world, eve, hers, code), [404, 'USER_CODE_INVALID'])
      const answer = await world.ask<Json>('POST', '/sync/pair/approve', { by: eve, body: { userCode: started.userCode, groupId: hers.groupId, allow: true } })
      t.match(answer, { status: 429, body: { error: { code: 'RATE_LIMITED' } } })
      t.strictSame(await approve(world, ann, group, started.userCode), [200, undefined], 'others are not kept from it')
      world.clock.now += 601_000
      t.strictSame(await approve(world, eve, hers, (await start(world)).userCode), [200, undefined])
    })

    await t.test('who has left between the confirmation and the poll gets no token', async t => {
      const cid = await world.person('Cid')
      const memberId = await world.join(cid, group)
      const started = await start(world)
      t.strictSame(await approve(world, cid, group, started.userCode), [200, undefined])
      await world.db.prepare('UPDATE members SET left_at = ? WHERE id = ?').run(world.clock.now, memberId)
      t.match(await poll(world, started), [400, 'access_denied'])
      t.strictSame(await world.db.prepare('SELECT id FROM plugin_tokens WHERE member_id = ?').all(memberId), [])
      const doomed = await world.group(cid)
      const other = await start(world)
      await approve(world, cid, doomed, other.userCode)
      await world.db.prepare('UPDATE groups SET deleted_at = ? WHERE id = ?').run(world.clock.now, doomed.groupId)
      t.match(await poll(world, other), [400, 'access_denied'])
    })

    await t.test('T8: a token that could not be stored leaves the pairing as it was', async t => {
      const started = await start(world)
      await approve(world, ann, group, started.userCode)
      await whileRefused(world.db, 'INSERT', 'plugin_tokens', async () => {
        t.match(await poll(world, started), [500, 'INTERNAL'])
        t.match(await world.db.prepare('SELECT status FROM pairings WHERE user_code = ?').get(started.userCode.replace('-', '')), { status: 'approved' })
      })
      t.match(await poll(world, started), [200], 'so that it can ask again')
    })

    await t.test('T7: a confirmation that fails confirms nothing', async t => {
      const started = await start(world)
      await whileRefused(world.db, 'UPDATE', 'pairings', async () => { t.match(await approve(world, ann, group, started.userCode), [500, 'INTERNAL']) })
      t.match(await poll(world, started), [400, 'authorization_pending'])
      t.strictSame(await approve(world, ann, group, started.userCode), [200, undefined])
    })

    await t.test('a plugin that is too old, or has no proper name, is told so', async t => {
      t.match(await world.ask('POST', '/sync/pair/start', { body: { ...plugin, pluginVersion: '0.9.9' } }), { status: 426, body: { error: { code: 'PLUGIN_TOO_OLD' } } })
      for (const [pointer, body] of [
        ['/body/pluginName', { pluginVersion: '1.0.0' }], ['/body/pluginVersion', { ...plugin, pluginVersion: 'new' }], ['/body/deviceLabel', { ...plugin, deviceLabel: 'a\u0000b' }],
        ['/body/pluginName', { ...plugin, pluginName: '' }], ['/body/token', { ...plugin, token: 'x' }]
      ] as const) t.match(await world.ask('POST', '/sync/pair/start', { body }), { status: 400, body: { error: { code: 'VALIDATION', details: { pointer } } } })
    })
  })

  void t.test(`one address can start thirty pairings an hour, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { rateLimitFactor: 1 })
    for (let i = 0; i < 30; i++) await start(world)
    t.match(await world.ask('POST', '/sync/pair/start', { body: plugin }), { status: 429, headers: { 'retry-after': /^\d+$/ }, body: { error: { code: 'RATE_LIMITED' } } })
  })
}
