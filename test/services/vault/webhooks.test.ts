/** The routes of webhooks: who may, how many, what is shown; and a test that goes the way of any event. */
import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import t from 'tap'
import { eventTypes } from '../../../services/activity/append.ts'
import { createWebhook } from '../../../services/activity/webhooks.ts'
import { newId } from '../../../services/common/ids.ts'
import { deferred, engines, openUrl } from '../../helper/db.ts'
import { Receiver, sealer } from './outbox-world.ts'
import { startWorld, type Json } from './world.ts'

interface WebhookJson { readonly webhook: { readonly id: string }, readonly secret: string }

for (const engine of engines) {
  void t.test(`webhooks on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    const receiver = await new Receiver().start(t)
    const [ann, adam, mia, stranger] = [await world.person('Ann'), await world.person('Adam'), await world.person('Mia'), await world.person('Sam')]
    const group = await world.group(ann)
    await world.join(adam, group, { role: 'admin' })
    const miasId = await world.join(mia, group)
    const path = `/groups/${group.groupId}/webhooks`
    const body = { kind: 'generic', url: `${receiver.url}/hook`, events: ['loot', 'death'], label: 'ours' }
    const plan = async (plan: string): Promise<unknown> => await db.prepare('UPDATE groups SET plan = ? WHERE id = ?').run(plan, group.groupId)
    const made = async (more: object = {}): Promise<WebhookJson> => (await world.ask<WebhookJson>('POST', path, { by: ann, body: { ...body, ...more } })).body
    const clear = async (): Promise<void> => { await db.exec('DELETE FROM webhooks; DELETE FROM outbox') }

    await t.test('an admin makes one, and its secret is told once', async t => {
      const answer = await world.ask('POST', path, { by: adam, body })
      t.match(answer, { status: 201, body: { webhook: { id: /^whk_/, kind: 'generic', label: 'ours', url: '127.0.0.1/…hook', events: ['loot', 'death'], enabled: true, disabledReason: null, failures: 0, pausedUntil: null }, secret: /^whsec_[A-Za-z0-9+/]{43}=$/ } })
      const list = await world.ask('GET', path, { by: ann })
      t.match(list, { status: 200, body: { webhooks: [answer.body.webhook] } })
      t.notMatch(list.text, /whsec_|http:/)
      const [row] = await db.prepare('SELECT * FROM webhooks').all()
      t.notMatch(JSON.stringify(row), /whsec_|http:/, 'sealed')
      await clear()
    })

    await t.test('as many as the plan allows, also at once', async t => {
      await plan('free')
      const both = await Promise.all([ann, adam].map(async by => await world.ask('POST', path, { by, body })))
      t.strictSame(both.map(({ status }) => status).sort(), [201, 409])
      t.match(both.find(({ status }) => status === 409), { body: { error: { code: 'WEBHOOK_LIMIT' } } })
      await db.prepare(`INSERT INTO group_features (group_id, key, enabled) VALUES (?, 'webhooks', 0)`).run(group.groupId)
      await db.prepare(`INSERT INTO feature_flags (key, enabled, description, updated_at, updated_by) VALUES ('webhooks', 1, '', 0, '')`).run()
      t.match(await world.ask('POST', path, { by: ann, body }), { status: 403, body: { error: { code: 'FEATURE_NOT_IN_PLAN' } } })
      await db.exec('DELETE FROM group_features; DELETE FROM feature_flags')
      await plan('premium')
      t.match(await world.ask('POST', path, { by: ann, body: { ...body, kind: 'discord', url: `${receiver.url}/api/webhooks/1/abc`, events: ['loot', 'loot'] } }), { status: 201, body: { secret: null, webhook: { events: ['loot'] } } })
      await clear()
    })

    await t.test('what is not taken', async t => {
      const bad: Array<[more: object, code: string]> = [
        [{ url: 'http://10.0.0.1/hook' }, 'URL_NOT_ALLOWED'], [{ url: 'https://user:pw@example.com/' }, 'URL_NOT_ALLOWED'], [{ url: 'nonsense' }, 'URL_NOT_ALLOWED'], [{ kind: 'discord' }, 'URL_NOT_ALLOWED'],
        [{ kind: 'email' }, 'VALIDATION'], [{ url: '' }, 'VALIDATION'], [{ url: `https://example.com/${'x'.repeat(2000)}` }, 'VALIDATION'], [{ events: [] }, 'VALIDATION'], [{ events: ['loot', 'nothing'] }, 'VALIDATION'],
        [{ events: ['webhook.test'] }, 'VALIDATION'], [{ label: '' }, 'VALIDATION'], [{ label: 'a\u0000b' }, 'VALIDATION'], [{ secret: 'mine' }, 'VALIDATION']
      ]
      for (const [more, code] of bad) t.match(await world.ask('POST', path, { by: ann, body: { ...body, ...more } }), { status: 400, body: { error: { code } } }, JSON.stringify(more))
      t.match(await world.ask('GET', path, { by: ann }), { body: { webhooks: [] } })
    })

    await t.test('others may not, and learn nothing', async t => {
      const { webhook: { id } } = await made()
      const calls = [['GET', path], ['POST', path, body], ['PATCH', `${path}/${id}`, { label: 'x' }], ['DELETE', `${path}/${id}`], ['POST', `${path}/${id}/test`], ['GET', `${path}/${id}/deliveries`]] as const
      for (const [method, url, body] of calls) {
        const options = body === undefined ? {} : { body }
        t.match(await world.ask(method, url, options), { status: 401 }, `${method} ${url}`)
        t.match(await world.ask(method, url, { by: mia, ...options }), { status: 403 })
        t.match(await world.ask(method, url, { by: stranger, ...options }), { status: 404 })
      }
      const elsewhere = await world.group(stranger)
      for (const [method, url, body] of calls.slice(2)) {
        const options = body === undefined ? {} : { body }
        t.match(await world.ask(method, url.replace(group.groupId, elsewhere.groupId), { by: stranger, ...options }), { status: 404 }, 'the webhook of another group')
        t.match(await world.ask(method, url.replace(id, newId('webhook')), { by: ann, ...options }), { status: 404 })
      }
      t.match(await world.ask('DELETE', `${path}/nonsense`, { by: ann }), { status: 400 })
      await clear()
    })

    await t.test('it is changed, disabled and enabled', async t => {
      const { webhook: { id } } = await made()
      const change = async (body: object): Promise<Json> => (await world.ask('PATCH', `${path}/${id}`, { by: ann, body })).body
      t.match(await change({ label: 'new', events: ['level'] }), { webhook: { label: 'new', events: ['level'], enabled: true }, secret: null })
      await db.prepare('UPDATE webhooks SET failures = 3, paused_until = ?').run(clock.now + 5000)
      t.match((await world.ask('GET', path, { by: ann })).body, { webhooks: [{ failures: 3, pausedUntil: new Date(clock.now + 5000).toISOString() }] })
      t.match(await world.ask('POST', `${path}/${id}/test`, { by: ann }), { status: 202 }, 'paused, so it waits')
      t.match(await change({ enabled: false }), { webhook: { enabled: false, disabledReason: null } })
      t.match(await world.ask('GET', `${path}/${id}/deliveries`, { by: ann }), { body: { deliveries: [{ status: 'cancelled', nextAttemptAt: null }] } })
      t.match(await world.ask('POST', `${path}/${id}/test`, { by: ann }), { status: 409, body: { error: { code: 'WEBHOOK_DISABLED' } } })
      t.match(await change({ enabled: true }), { webhook: { enabled: true, failures: 0, pausedUntil: null } })
      for (const bad of [{}, { url: 'https://example.com' }, { enabled: 1 }]) t.match(await world.ask('PATCH', `${path}/${id}`, { by: ann, body: bad }), { status: 400 })
      t.match(await world.ask('DELETE', `${path}/${id}`, { by: ann }), { status: 204, text: '' })
      t.match(await world.ask('DELETE', `${path}/${id}`, { by: ann }), { status: 404 })
      await clear()
    })

    await t.test('a test arrives like any other event, signed with the new secret and for a day with the old one', async t => {
      const { webhook: { id }, secret: old } = await made()
      const rotated = await world.ask<WebhookJson>('PATCH', `${path}/${id}`, { by: ann, body: { rotateSecret: true } })
      const { secret } = rotated.body
      t.not(secret, old)
      const signaturesOf = async (): Promise<{ used: unknown[], deliveryId: string }> => {
        const came = deferred()
        receiver.onRequest = () => { came.resolve() }
        const { status, body: { deliveryId } } = await world.ask<{ deliveryId: string }>('POST', `${path}/${id}/test`, { by: ann })
        t.equal(status, 202)
        await came.promise
        const [request] = receiver.take()
        t.match(JSON.parse(request?.body ?? ''), { type: 'webhook.test', data: { group: { name: 'Anns' }, member: null, details: { webhook: 'ours' } } })
        t.equal(request?.headers['webhook-id'], deliveryId)
        const signed = `${deliveryId}.${String(request?.headers['webhook-timestamp'])}.${request?.body}`
        const known = new Map([old, secret].map((key, i) => [`v1,${createHmac('sha256', Buffer.from(key.slice(6), 'base64')).update(signed).digest('base64')}`, i === 0 ? 'old' : 'new']))
        return { deliveryId, used: String(request?.headers['webhook-signature']).split(' ').map(signature => known.get(signature)) }
      }
      const { used, deliveryId } = await signaturesOf()
      t.strictSame(used, ['new', 'old'])
      await db.prepare('UPDATE webhooks SET prev_secret_until = prev_secret_until - 86400000').run()
      t.strictSame((await signaturesOf()).used, ['new'])
      t.match((await world.ask('GET', `/groups/${group.groupId}/activity?type=webhook.test`, { by: mia })).body, { events: [{ type: 'webhook.test' }, { type: 'webhook.test' }, { type: 'webhook.test' }] })
      const { body: { deliveries, nextCursor } } = await world.ask<{ deliveries: Json[], nextCursor: string }>('GET', `${path}/${id}/deliveries?limit=1`, { by: ann })
      t.equal(deliveries.length, 1)
      t.match((await world.ask('GET', `${path}/${id}/deliveries?limit=1&cursor=${nextCursor}`, { by: ann })).body, { deliveries: [{ id: deliveryId, eventType: 'webhook.test' }], nextCursor: null })
      t.match(await world.ask('GET', `${path}/${id}/deliveries?cursor=nonsense`, { by: ann }), { status: 400, body: { error: { code: 'BAD_CURSOR' } } })
      t.match((await world.ask('GET', `${path}/${id}/deliveries?status=dead`, { by: ann })).body, { deliveries: [] })
      t.match((await made({ kind: 'discord', url: `${receiver.url}/api/webhooks/1/abc` })), { webhook: { kind: 'discord' } })
      await clear()
    })

    await t.test('Discord has no secret to change', async t => {
      const { webhook: { id } } = await made({ kind: 'discord', url: `${receiver.url}/api/webhooks/1/abc`, events: eventTypes.slice(0, 3) })
      t.match(await world.ask('PATCH', `${path}/${id}`, { by: ann, body: { rotateSecret: true, label: 'half' } }), { status: 400, body: { error: { code: 'BAD_REQUEST' } } })
      t.match((await world.ask('GET', path, { by: ann })).body, { webhooks: [{ label: 'ours' }] })
    })

    await t.test('an app that ends waits for what is on its way', async t => {
      const ending = await startWorld(t, engine)
      const owner = await ending.person('Ann')
      const { groupId } = await ending.group(owner)
      const url = `/groups/${groupId}/webhooks`
      const { body: { webhook: { id } } } = await ending.ask<WebhookJson>('POST', url, { by: owner, body })
      const asked = deferred<ServerResponse>()
      receiver.answer = (_, reply) => { asked.resolve(reply) }
      await ending.ask('POST', `${url}/${id}/test`, { by: owner })
      const reply = await asked.promise
      const closed = ending.app.close()
      reply.end('{}')
      await closed
      const after = await openUrl(t, ending.url)
      t.match(await after.prepare('SELECT status, lease_owner FROM outbox').all(), [{ status: 'delivered', lease_owner: null }])
    })

    await t.test('who is no admin any more when it is their turn may not', async t => {
      const webhook = { kind: 'generic', url: 'https://example.com/', label: 'x', events: ['loot'] } as const
      const make = async (userId: string): Promise<unknown> => await createWebhook(db, { actor: { groupId: group.groupId, userId }, webhook, sealer, rules: { allowLoopback: false } }, clock.now)
      await t.rejects(make(mia.userId), { code: 'TDM_ERR_VAULT_FORBIDDEN' })
      await db.prepare('UPDATE members SET left_at = 1 WHERE id = ?').run(miasId)
      await t.rejects(make(mia.userId), { code: 'TDM_ERR_VAULT_NOT_FOUND' })
    })
  })
}
