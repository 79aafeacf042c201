/** The outbox: what is committed is delivered, at least once, in order, on the schedule; what came of it is recorded whole or not at all. */
import { createHmac } from 'node:crypto'
import t from 'tap'
import { claimDueDeliveries, LEASE_MS, requeueDead } from '../../../services/activity/claims.ts'
import { recordDeliveryResult } from '../../../services/activity/results.ts'
import { deleteWebhook } from '../../../services/activity/webhooks.ts'
import { engines, openUrl } from '../../helper/db.ts'
import { failing } from './failing.ts'
import { startOutbox } from './outbox-world.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

for (const engine of engines) {
  void t.test(`the outbox on ${engine}`, async t => {
    const world = await startOutbox(t, engine)
    const { db, clock, receiver } = world

    await t.test('a delivery is there if and only if its event is', async t => {
      const { id } = await world.webhook('generic')
      const event = await world.happen({ sourceEventId: 'e1' })
      t.equal(await world.happen({ sourceEventId: 'e1' }), undefined, 'reported before')
      t.match(await world.outbox(), [{ webhook_id: id, event_id: event?.id, event_type: 'death', status: 'pending', attempts: 0 }])
      await t.rejects(db.tx(async () => {
        await world.happen()
        throw new Error('after all, no')
      }), /after all/)
      t.equal((await world.outbox()).length, 1)
      await db.prepare(`UPDATE webhooks SET events = '["loot"]'`).run()
      await world.happen()
      await db.prepare('UPDATE webhooks SET enabled = 0').run()
      await world.happen({ type: 'loot' })
      t.equal((await world.outbox()).length, 1, 'not wanted, and disabled')
    })

    await t.test('a generic one is signed, and tells what was', async t => {
      const { secret } = await world.webhook('generic')
      const event = await world.happen({ type: 'loot', data: { item: 'Twisted bow', quantity: 1 } })
      await db.prepare(`UPDATE members SET display_name = 'Bob' WHERE id = ?`).run(world.memberId)
      t.match(await world.run(), { claimed: 1, delivered: 1, retried: 0, dead: 0 })
      await db.prepare(`UPDATE members SET display_name = 'Ann' WHERE id = ?`).run(world.memberId)
      const [row] = await world.outbox()
      const [request] = receiver.take()
      t.strictSame(JSON.parse(request?.body ?? ''), {
        type: 'loot',
        timestamp: '2026-01-01T00:00:00.000Z',
        data: { eventId: event?.id, groupSeq: event?.groupSeq, group: { id: world.groupId, name: 'Anns' }, member: { id: world.memberId, name: 'Ann' }, details: { item: 'Twisted bow', quantity: 1 } }
      })
      const stamp = String(clock.now / 1000)
      const signature = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64')).update(`${row?.id}.${stamp}.${request?.body}`).digest('base64')
      t.match(request?.headers, { 'webhook-id': row?.id, 'webhook-timestamp': stamp, 'webhook-signature': `v1,${signature}`, 'content-type': 'application/json' })
      t.match(row, { status: 'delivered', attempts: 1, last_status: 200, last_error: null, delivered_at: clock.now, lease_owner: null })
      t.match(await db.prepare('SELECT n, http_status, error FROM outbox_attempts WHERE outbox_id = ?').all(row?.id ?? ''), [{ n: 1, http_status: 200, error: null }])
      t.match(await world.run(), { claimed: 0 })
    })

    await t.test('items are called by their names', async t => {
      await db.exec(`INSERT INTO catalog_snapshots (id, source, content_hash, item_count, status, note, created_by, created_at) VALUES ('cat', 's', 'h', 1, 'ready', '', 'test', 0);
        INSERT INTO catalog_items (snapshot_id, item_id, name, name_norm, examine, members, value, icon_key, tradeable) VALUES ('cat', 995, 'Coins', 'coins', '', 0, 1, 'c', 0);
        INSERT INTO catalog_active (id, snapshot_id, version, changed_at, changed_by, reason) VALUES (1, 'cat', 1, 0, 'test', '')`)
      await world.webhook('generic')
      await world.webhook('discord', { alone: false })
      await world.happen({ type: 'storage.changed', data: { deposits: [{ itemId: 995, quantity: 5 }, { itemId: 7, quantity: 1 }], withdrawals: [], more: 0 } })
      await world.run()
      const bodies = receiver.take().sort((a, b) => a.path < b.path ? -1 : 1).map(({ body }) => JSON.parse(body) as object)
      t.match(bodies, [
        { embeds: [{ title: 'Ann used the shared storage', description: 'deposits: Coins × 5, Item \\#7 × 1' }] },
        { data: { details: { deposits: [{ itemId: 995, quantity: 5, name: 'Coins' }, { itemId: 7, quantity: 1, name: 'Item #7' }], withdrawals: [] } } }
      ])
    })

    await t.test('too much to tell is left out', async t => {
      await world.webhook('generic')
      await world.happen({ data: { text: 'ä'.repeat(15_000) } })
      await world.run()
      t.match(JSON.parse(receiver.take()[0]?.body ?? ''), { type: 'death', data: { details: { truncated: true } } })
    })

    await t.test('what fails is tried eight times, later and later, with the same id', async t => {
      const { id } = await world.webhook('generic')
      await world.happen()
      receiver.answerWith(500)
      for (const delay of [5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]) {
        t.match(await world.run(), { claimed: 1, retried: 1 })
        const [row] = await world.outbox()
        const wait = Number(row?.next_attempt_at) - clock.now
        t.ok(wait >= delay * 0.8 && wait <= delay * 1.2, `${wait} of ${delay}`)
        clock.now += wait - 1
        t.match(await world.run(), { claimed: 0 }, 'not before')
        clock.now += 1
      }
      t.match(await world.run(), { claimed: 1, dead: 1 })
      const [row] = await world.outbox()
      t.match(row, { status: 'dead', attempts: 8, last_status: 500, last_error: 'answered 500' })
      t.match(await world.webhookRow(id), { failures: 1, enabled: 1 })
      clock.now += 48 * HOUR
      t.match(await world.run(), { claimed: 0 }, 'dead is final')
      receiver.answerWith(204)
      t.equal(await requeueDead(db, [String(row?.id), 'dlv_none'], clock.now), 1, 'unless somebody wants it')
      t.match(await world.run(), { delivered: 1 })
      t.match(await world.webhookRow(id), { failures: 0 })
      t.strictSame(new Set(receiver.take().map(({ headers }) => headers['webhook-id'])), new Set([row?.id]))
      t.equal((await db.prepare('SELECT n FROM outbox_attempts WHERE outbox_id = ?').all(row?.id ?? '')).length, 9)
    })

    await t.test('five dead in a row disable the webhook', async t => {
      const { id } = await world.webhook('generic')
      receiver.answerWith(302, { location: `${receiver.url}/elsewhere` })
      for (let i = 0; i < 6; i++) await world.happen()
      await db.prepare('UPDATE outbox SET attempts = 7').run()
      for (let i = 0; i < 4; i++) t.match(await world.run(), { claimed: 1, dead: 1 })
      t.match(await world.webhookRow(id), { failures: 4, enabled: 1 })
      t.match(await world.run(), { dead: 1 })
      t.match(await world.webhookRow(id), { enabled: 0, disabled_reason: '5 deliveries in a row have failed.' })
      t.strictSame((await world.outbox()).map(row => row.status), ['dead', 'dead', 'dead', 'dead', 'dead', 'cancelled'])
      t.ok(receiver.take().every(({ path }) => path === '/hook'), 'redirects are not followed')
    })

    for (const status of [401, 403, 404, 410]) {
      await t.test(`${status} disables it at once`, async t => {
        const { id } = await world.webhook('generic')
        const other = await world.webhook('generic', { path: '/other', alone: false })
        receiver.answer = (request, reply) => { reply.writeHead(request.path === '/hook' ? status : 200).end() }
        await world.happen()
        await world.happen()
        t.match(await world.run(), { claimed: 2, delivered: 1, dead: 1 })
        t.match(await world.webhookRow(id), { enabled: 0, disabled_reason: `The receiver answered ${status}.` })
        t.match((await world.outbox()).filter(row => row.webhook_id === id).map(row => row.status), ['dead', 'cancelled'])
        t.match(await world.run(), { claimed: 1, delivered: 1 }, 'others go on')
        t.match(await world.webhookRow(other.id), { enabled: 1 })
      })
    }

    await t.test('429 is not a failure, and holds up its webhook only', async t => {
      const { id } = await world.webhook('generic')
      receiver.take()
      clock.now = Math.ceil(clock.now / SECOND) * SECOND
      const cases: Array<[headers: () => Record<string, string>, body: string, ms: number]> = [
        [() => ({ 'retry-after': '7' }), '', 7000], [() => ({ 'retry-after': new Date(clock.now + 9000).toUTCString() }), '', 9000], [() => ({ 'retry-after': '9' }), '{"retry_after": 1.5}', 1500], [() => ({ 'retry-after': '0' }), '', 1000], [() => ({}), 'busy', 60_000]
      ]
      await world.happen()
      await world.happen()
      for (const [headers, body, ms] of cases) {
        receiver.answerWith(429, headers(), body)
        t.match(await world.run(), { claimed: 1, retried: 1 })
        t.match(await world.webhookRow(id), { paused_until: clock.now + ms })
        t.match((await world.outbox())[0], { attempts: 0, next_attempt_at: clock.now + ms, last_status: 429 })
        t.match(await world.run(), { claimed: 0 }, 'paused')
        clock.now += ms
      }
      await db.prepare('UPDATE outbox SET throttles = 20').run()
      await world.run()
      t.match((await world.outbox())[0], { attempts: 1, throttles: 20 }, 'but not for ever')
      t.strictSame(new Set(receiver.take().map(({ headers }) => headers['webhook-id'])).size, 1)
    })

    await t.test('a receiver with no room left is not asked until it has', async t => {
      const { id } = await world.webhook('generic')
      receiver.answerWith(200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '2.5' })
      await world.happen()
      await world.happen()
      t.match(await world.run(), { delivered: 1 })
      t.match(await world.webhookRow(id), { paused_until: clock.now + 2500 })
      t.match(await world.run(), { claimed: 0 })
      clock.now += 2500
      t.match(await world.run(), { delivered: 1 })
      receiver.take()
    })

    await t.test('first attempts are in the order of the events', async t => {
      await world.webhook('generic')
      receiver.answerWith(200)
      for (let i = 0; i < 5; i++) await world.happen({ data: { i } })
      await db.prepare('UPDATE outbox SET next_attempt_at = next_attempt_at - group_seq').run()
      for (let i = 0; i < 5; i++) t.match(await world.run(), { claimed: 1 })
      t.strictSame(receiver.take().map(({ body }) => (JSON.parse(body) as { data: { details: { i: number } } }).data.details.i), [0, 1, 2, 3, 4])
    })

    await t.test('Discord gets ten at a time, and nobody is mentioned', async t => {
      await world.webhook('discord')
      await db.prepare(`UPDATE members SET display_name = '@everyone_*' WHERE id = ?`).run(world.memberId)
      for (let i = 0; i < 12; i++) await world.happen({ data: { items: [{ name: 'Coins', quantity: i }], text: 'x' } })
      t.match(await world.run(), { claimed: 10, delivered: 10 })
      t.match(await world.run(), { claimed: 2, delivered: 2 })
      const [first, second] = receiver.take()
      const message = JSON.parse(first?.body ?? '') as { embeds: Array<{ title: string }>, allowed_mentions: object }
      t.equal(first?.path, '/api/webhooks/1/token?wait=true')
      t.strictSame(message.allowed_mentions, { parse: [] })
      t.equal(message.embeds.length, 10)
      t.match(message.embeds[0], { title: '\\@everyone\\_\\* died', description: 'items: Coins × 0\ntext: x', footer: { text: 'Anns' } })
      t.equal((JSON.parse(second?.body ?? '') as { embeds: object[] }).embeds.length, 2)
    })

    await t.test('what Discord does not take does not take others along', async t => {
      await world.webhook('discord')
      receiver.answer = (request, reply) => { reply.writeHead(request.body.includes('bad') ? 400 : 200).end('{"message": "Invalid"}') }
      for (const text of ['good', 'bad', 'fine']) await world.happen({ data: { text } })
      t.match(await world.run(), { claimed: 3, delivered: 2, retried: 1 })
      t.strictSame((await world.outbox()).map(row => row.status), ['delivered', 'pending', 'delivered'])
      t.equal(receiver.take().length, 4, 'together, then each by itself')
      receiver.answerWith(200)
    })

    await t.test('a receiver that has enough gets no more of what was claimed', async t => {
      for (const [status, headers, left] of [[429, { 'retry-after': '5' }, ['pending', 'pending', 'pending']], [404, {}, ['dead', 'cancelled', 'cancelled']], [200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '5' }, ['delivered', 'pending', 'pending']]] as const) {
        await world.webhook('discord')
        let n = 0
        receiver.answer = (_, reply) => { reply.writeHead(n++ === 0 ? 400 : status, headers).end('{}') }
        for (let i = 0; i < 3; i++) await world.happen()
        await world.run()
        t.strictSame((await world.outbox()).map(row => row.status), left)
        t.equal(receiver.take().length, 2, 'the three, and the first')
      }
      receiver.answerWith(200)
    })

    await t.test('long texts are sent in as many messages as they need', async t => {
      await world.webhook('discord')
      for (let i = 0; i < 6; i++) await world.happen({ data: { a: 'x'.repeat(900), b: ['y'.repeat(900)], c: 'z'.repeat(3000), d: '_'.repeat(900), e: 1, ...Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`n${n}`, 'w'.repeat(190)])) } })
      t.match(await world.run(), { claimed: 6, delivered: 6 })
      const messages = receiver.take().map(({ body }) => (JSON.parse(body) as { embeds: Array<{ title: string, description: string, footer: { text: string } }> }).embeds)
      t.ok(messages.length > 1)
      for (const embeds of messages) t.ok(embeds.reduce((sum, { title, description, footer }) => sum + title.length + description.length + footer.text.length, 0) <= 6000)
    })

    await t.test('an answer without end is read to 4 kB, and a connection that breaks is tried again', async t => {
      await world.webhook('generic')
      receiver.answer = (_, reply) => { reply.writeHead(200).write('x'.repeat(100_000)) }
      await world.happen()
      t.match(await world.run(), { delivered: 1 })
      const breaks: Array<typeof receiver.answer> = [(_, reply) => { reply.destroy() }, (_, reply) => { reply.socket?.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n') }]
      for (const answer of breaks) {
        receiver.answer = answer
        await db.exec('DELETE FROM outbox')
        await world.happen()
        t.match(await world.run(), { retried: 1 })
        t.match(await world.outbox(), [{ last_status: null, last_error: 'the connection was closed' }])
      }
      receiver.answerWith(200)
      await db.prepare(`UPDATE webhooks SET url_enc = 'other.AAAA'`).run()
      clock.now += MINUTE
      t.match(await world.run(), { retried: 1 })
      t.match(await world.outbox(), [{ last_error: 'the key that its URL was sealed with is gone: make the webhook anew' }])
      receiver.take()
    })

    await t.test('who has died is followed by another one, and comes too late', async t => {
      await world.webhook('generic')
      await world.happen()
      const deliveries = await claimDueDeliveries(db, { owner: 'first' }, clock.now)
      t.equal(deliveries.length, 1)
      clock.now += LEASE_MS - 1
      t.strictSame(await claimDueDeliveries(db, { owner: 'second' }, clock.now), [])
      clock.now += 1
      t.equal((await claimDueDeliveries(db, { owner: 'second' }, clock.now)).length, 1)
      const outcome = { kind: 'delivered', status: 200 } as const
      t.match(await recordDeliveryResult(db, { owner: 'first', deliveries, outcome, startedAt: 0, durationMs: 1 }, clock.now), { delivered: 0 })
      t.match(await world.outbox(), [{ status: 'sending', lease_owner: 'second' }])
      t.match(await recordDeliveryResult(db, { owner: 'second', deliveries, outcome, startedAt: 0, durationMs: 1 }, clock.now), { delivered: 1 })
    })

    await t.test('several processes share it: no row twice, one request of a webhook at a time', async t => {
      for (let i = 0; i < 10; i++) await world.webhook(i % 2 === 0 ? 'generic' : 'discord', { alone: i === 0 })
      for (let i = 0; i < 6; i++) await world.happen()
      const others = await Promise.all(Array.from({ length: 3 }, async () => await openUrl(t, world.url)))
      const seen: string[] = []
      for (let round = 0; (await world.outbox()).some(row => row.status !== 'delivered'); round++) {
        const claims = await Promise.all(others.map(async (other, i) => {
          const owner = `${round}/${i}`
          return { owner, deliveries: await claimDueDeliveries(other, { owner }, clock.now) }
        }))
        const webhooks = claims.flatMap(({ deliveries }) => [...new Set(deliveries.map(({ webhookId }) => webhookId))])
        t.equal(webhooks.length, new Set(webhooks).size)
        for (const { owner, deliveries } of claims) {
          seen.push(...deliveries.map(({ id }) => id))
          for (const mine of Map.groupBy(deliveries, ({ webhookId }) => webhookId).values()) {
            await recordDeliveryResult(db, { owner, deliveries: mine, outcome: { kind: 'delivered', status: 200 }, startedAt: 0, durationMs: 1 }, clock.now)
          }
        }
      }
      t.equal(seen.length, 60)
      t.equal(new Set(seen).size, 60)
    })

    await t.test('T15: of a result all is recorded, or nothing', async t => {
      const { id } = await world.webhook('generic')
      await world.happen()
      const deliveries = await claimDueDeliveries(db, { owner: 'me' }, clock.now)
      const attempt = { owner: 'me', deliveries, outcome: { kind: 'gone', status: 410 }, startedAt: 0, durationMs: 1 } as const
      for (const statement of [/INSERT INTO outbox_attempts/, /SET failures = \?/, /SET enabled = 0/, /'cancelled'/]) {
        await t.rejects(recordDeliveryResult(failing(db, statement), attempt, clock.now))
        t.match(await world.outbox(), [{ status: 'sending', lease_owner: 'me', attempts: 0 }])
        t.match(await world.webhookRow(id), { enabled: 1, failures: 0 })
        t.strictSame(await db.prepare('SELECT n FROM outbox_attempts WHERE outbox_id = ?').all(deliveries[0]?.id ?? ''), [])
      }
      t.match(await recordDeliveryResult(db, attempt, clock.now), { dead: 1 })
    })

    await t.test('T16: a webhook goes with what it was to deliver, or stays', async t => {
      const { id } = await world.webhook('generic')
      await world.happen()
      const { actor } = world
      await t.rejects(deleteWebhook(failing(db, /'cancelled'/), { actor, webhookId: id }, clock.now))
      t.match(await world.outbox(), [{ status: 'pending' }])
      t.match(await world.webhookRow(id), { id })
      const deliveries = await claimDueDeliveries(db, { owner: 'me' }, clock.now)
      await deleteWebhook(db, { actor, webhookId: id }, clock.now)
      t.match(await world.outbox(), [{ status: 'cancelled' }])
      await recordDeliveryResult(db, { owner: 'me', deliveries, outcome: { kind: 'failed', error: 'x' }, startedAt: 0, durationMs: 1 }, clock.now)
      t.match(await world.outbox(), [{ status: 'cancelled' }], 'also what was on its way')
    })
  })
}
