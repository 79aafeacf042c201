/** Billing: an event is applied once, in the right order, with all that it changes, or not at all; and what a group has follows from nothing else. */
import t, { type Test } from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import { readEvent } from '../../../services/billing/provider-objects.ts'
import type { BillingProvider, ProviderSubscription } from '../../../services/billing/provider.ts'
import { receiveEvent, settle, type Billing } from '../../../services/billing/process-events.ts'
import { signBody } from '../../../services/billing/signature.ts'
import { collectLog, deferred, engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { startWorld, type Answer, type MadeGroup, type Person, type World } from './world.ts'

const SECRETS = ['whsec_old', 'whsec_new'] as const
const DAY_MS = 86_400_000
const PREMIUM = { plan: 'premium', premium: true }
const FREE = { plan: 'free', premium: false }

interface Told {
  readonly id?: string
  readonly type?: string
  readonly groupId?: string
  readonly subscription?: string
  readonly status?: string
  /** Seconds before now. */
  readonly ago?: number
  readonly periodEnd?: number
  readonly cancel?: boolean
}

let count = 0

function eventOf (world: World, { id = `evt_${++count}`, type = 'customer.subscription.updated', groupId, subscription = `sub_${groupId}`, status = 'active', ago = 0, periodEnd, cancel = false }: Told): string {
  return JSON.stringify({
    id,
    type,
    created: Math.floor(world.clock.now / 1000) - ago,
    data: {
      object: {
        id: subscription,
        customer: 'cus_1',
        status,
        cancel_at_period_end: cancel,
        metadata: { group_id: groupId },
        items: { data: [{ current_period_end: Math.floor((periodEnd ?? world.clock.now + 30 * DAY_MS) / 1000) }] }
      }
    }
  })
}

async function post (world: World, body: string, { secret = SECRETS[1], now = world.clock.now }: { secret?: string, now?: number } = {}): Promise<Answer<unknown>> {
  return await world.ask('POST', '/billing/webhook', { body, headers: { 'content-type': 'application/json', 'stripe-signature': signBody(Buffer.from(body), secret, now) } })
}

async function tell (t: Test, world: World, told: Told): Promise<void> {
  const { status, body } = await post(world, eventOf(world, told))
  t.strictSame([status, body], [200, { received: true }])
}

async function activityOf (db: Database, groupId: string): Promise<string[]> {
  const rows = await db.prepare(`SELECT data FROM activity_events WHERE group_id = ? AND type = 'billing.changed' ORDER BY group_seq`).all(groupId)
  return rows.map(row => Object.values(JSON.parse(String(row.data)) as object).join(' '))
}

for (const engine of engines) {
  void t.test(`billing on ${engine}`, async t => {
    const world = await startWorld(t, engine, { env: { VAULT_BILLING_SECRETS: SECRETS.join(',') } })
    const ann = await world.person('Ann')

    /** A fresh group with an owner of its own. */
    async function fresh (): Promise<MadeGroup & { owner: Person }> {
      const owner = await world.person('Owner')
      return { ...await world.group(owner), owner }
    }
    const stateOf = async ({ groupId, owner }: { groupId: string, owner: Person }): Promise<unknown> => (await world.ask('GET', `/billing/groups/${groupId}`, { by: owner })).body

    void t.test('the plans are public, what a group has is for its members', async t => {
      const made = await fresh()
      t.match(await world.ask('GET', '/billing/plans'), { status: 200, body: { plans: [{ id: 'free', price: { amount: 0 } }, { id: 'premium', limits: { maxMembers: 50 } }] } })
      t.strictSame(await stateOf(made), {
        ...FREE, status: 'none', currentPeriodEnd: null, cancelAtPeriodEnd: false, graceUntil: null, limits: { maxMembers: 5, webhooks: 1, historyDays: 30, live: true }, overLimit: []
      })
      const path = `/billing/groups/${made.groupId}`
      t.match(await world.ask('GET', path), { status: 401 })
      t.match(await world.ask('GET', path, { by: ann }), { status: 404, body: { error: { code: 'NOT_FOUND' } } })
      await world.join(ann, made)
      t.match(await world.ask('GET', path, { by: ann }), { status: 200 })
      for (const [route, body] of [['checkout', { planId: 'premium' }], ['portal', undefined], ['cancel', { cancel: true }]] as const) {
        t.match(await world.ask('POST', `${path}/${route}`, { by: ann, headers: { 'idempotency-key': 'k' }, ...(body && { body }) }), { status: 403, body: { error: { code: 'FORBIDDEN' } } }, route)
      }
    })

    void t.test('an event is applied once, whoever sends it how often', async t => {
      const made = await fresh()
      const body = eventOf(world, { groupId: made.groupId })
      const answers = await Promise.all(Array.from({ length: 5 }, async () => await post(world, body)))
      t.strictSame(answers.map(({ status }) => status), [200, 200, 200, 200, 200])
      t.equal(answers.filter(answer => (answer.body as { duplicate?: boolean }).duplicate === true).length, 4)
      t.match(await post(world, body, { secret: SECRETS[0] }), { status: 200, body: { received: true, duplicate: true } }, 'with the other secret, too')
      t.match(await stateOf(made), { ...PREMIUM, status: 'active', limits: { maxMembers: 50 } })
      t.strictSame(await activityOf(world.db, made.groupId), ['premium active false'])
      t.match(await world.db.prepare('SELECT plan, max_members FROM groups WHERE id = ?').get(made.groupId), { plan: 'premium', max_members: 50 })
    })

    void t.test('an older event never overwrites a newer one', async t => {
      const made = await fresh()
      const { groupId } = made
      await tell(t, world, { groupId, status: 'canceled', type: 'customer.subscription.deleted', ago: 10 })
      await tell(t, world, { groupId, status: 'active', ago: 20 })
      await tell(t, world, { groupId, status: 'active', ago: 30, type: 'customer.subscription.created' })
      t.match(await stateOf(made), { ...FREE, status: 'canceled' })
      t.strictSame(await activityOf(world.db, groupId), ['free canceled false'])
      await tell(t, world, { groupId, status: 'trialing', ago: 5 })
      t.match(await stateOf(made), { ...PREMIUM, status: 'trialing' })
    })

    void t.test('what is not signed, or not now, is refused, and leaves nothing', async t => {
      const { groupId } = await fresh()
      const body = eventOf(world, { id: 'evt_refused', groupId })
      const signature = signBody(Buffer.from(body), SECRETS[0], world.clock.now)
      const refused = { status: 400, body: { error: { code: 'BAD_SIGNATURE' } } }
      t.match(await post(world, body, { secret: 'whsec_other' }), refused)
      t.match(await post(world, body, { now: world.clock.now - 301_000 }), refused)
      t.match(await post(world, body, { now: world.clock.now + 302_000 }), refused)
      const headers = { 'content-type': 'application/json' }
      t.match(await world.ask('POST', '/billing/webhook', { body, headers }), refused)
      t.match(await world.ask('POST', '/billing/webhook', { headers }), refused)
      t.match(await world.ask('POST', '/billing/webhook', { body: body.replace('"active"', '"trialing"'), headers: { ...headers, 'stripe-signature': signature } }), refused)
      t.match(await world.ask('POST', '/billing/webhook', { body: ` ${body}`, headers: { ...headers, 'stripe-signature': signature } }), refused, 'the same JSON in other bytes')
      t.match(await world.ask('POST', '/billing/webhook', { body: 'x'.repeat(256 * 1024 + 1), headers }), { status: 413, body: { error: { code: 'TOO_LARGE' } } })
      t.match(await world.ask('POST', '/billing/webhook', { body, headers: { 'content-type': 'application/xml' } }), { status: 415 })
      t.match(await post(world, '{"id":"evt_x"}'), { status: 400, body: { error: { code: 'BAD_REQUEST' } } })
      t.equal(await world.db.prepare(`SELECT event_id FROM billing_events WHERE event_id IN ('evt_refused', 'evt_x')`).get(), undefined)
    })

    void t.test('events of other types, and of nobody\'s subscription, are stored and change nothing', async t => {
      const { groupId } = await fresh()
      for (const told of [{ type: 'invoice.paid', groupId }, { type: 'something.new', groupId }, { groupId: 'grp_unknown' }, {}]) {
        const body = eventOf(world, { ...told, id: `evt_${++count}` })
        t.match(await post(world, body), { status: 200, body: { received: true, duplicate: undefined } })
        t.match(await post(world, body), { status: 200, body: { received: true, duplicate: true } })
        t.match(await world.db.prepare('SELECT processed_at FROM billing_events WHERE event_id = ?').get(`evt_${count}`), { processed_at: world.clock.now })
      }
      t.strictSame(await activityOf(world.db, groupId), [])
      await tell(t, world, { groupId, status: 'brand_new_status' })
      t.match(await world.db.prepare('SELECT plan FROM groups WHERE id = ?').get(groupId), { plan: 'free' }, 'a status that is not known entitles to nothing')
    })

    void t.test('a plan that ends removes nobody', async t => {
      const made = await fresh()
      const { groupId } = made
      await tell(t, world, { groupId, ago: 9 })
      for (let i = 0; i < 6; i++) await world.join(await world.person(`Member ${i}`), made)
      await tell(t, world, { groupId, status: 'unpaid' })
      t.match(await stateOf(made), { ...FREE, status: 'unpaid', overLimit: [{ limit: 'maxMembers', used: 7, max: 5 }] })
      t.match(await world.db.prepare('SELECT member_count, max_members FROM groups WHERE id = ?').get(groupId), { member_count: 7, max_members: 5 })
    })

    void t.test('who has not paid keeps the plan for seven days after the period', async t => {
      const made = await fresh()
      const start = world.clock.now
      await tell(t, world, { groupId: made.groupId, status: 'past_due', periodEnd: start })
      const graceUntil = new Date(Math.floor(start / 1000) * 1000 + 7 * DAY_MS).toISOString()
      t.match(await stateOf(made), { ...PREMIUM, status: 'past_due', graceUntil })
      world.clock.now = start + 6 * DAY_MS
      t.match(await stateOf(made), PREMIUM)
      await settle(billingOf(world))
      t.match(await world.db.prepare('SELECT plan FROM groups WHERE id = ?').get(made.groupId), { plan: 'premium' })
      world.clock.now = start + 7 * DAY_MS
      t.match(await stateOf(made), FREE, 'by the clock')
      await settle(billingOf(world))
      await settle(billingOf(world))
      t.match(await world.db.prepare('SELECT plan, max_members FROM groups WHERE id = ?').get(made.groupId), { plan: 'free', max_members: 5 }, 'and for all that depends on it')
      t.strictSame(await activityOf(world.db, made.groupId), ['premium past_due false', 'free past_due false'])
      world.clock.now = start
    })

    void t.test('of two events of one second the provider says which holds', async t => {
      const made = await fresh()
      const asked = new FakeProvider()
      const billing = billingOf(world, asked)
      const first = eventOf(world, { groupId: made.groupId, status: 'canceled' })
      const second = eventOf(world, { groupId: made.groupId, status: 'active' })
      await receiveEvent(billing, readEvent(first), first)
      asked.now = readEvent(first).subscription
      t.strictSame(await receiveEvent(billing, readEvent(second), second), { duplicate: false })
      t.match(await stateOf(made), { ...FREE, status: 'canceled' })
      t.equal(asked.questions, 1)

      const third = eventOf(world, { groupId: made.groupId, status: 'canceled' })
      asked.now = readEvent(second).subscription
      asked.duringQuestion = async () => {
        asked.duringQuestion = undefined
        const newer = eventOf(world, { groupId: made.groupId, status: 'trialing', ago: -1 })
        await receiveEvent(billing, readEvent(newer), newer)
      }
      await receiveEvent(billing, readEvent(third), third)
      t.match(await stateOf(made), { status: 'trialing' }, 'an answer that something newer has overtaken does not count')
    })

    void t.test('a second subscription does not end the first; it takes over when that has ended', async t => {
      const made = await fresh()
      const { groupId } = made
      const asked = new FakeProvider()
      const billing = billingOf(world, asked)
      const send = async (told: Told): Promise<void> => {
        const body = eventOf(world, { groupId, ...told })
        await receiveEvent(billing, readEvent(body), body)
      }
      await send({ subscription: `a_${groupId}`, ago: 50 })
      await send({ subscription: `b_${groupId}`, ago: 40, status: 'canceled' })
      t.match(await stateOf(made), PREMIUM)
      await send({ subscription: `a_${groupId}`, ago: 30, status: 'canceled' })
      t.match(await stateOf(made), FREE)
      asked.now = subscriptionOf(`b_${groupId}`, groupId, 'canceled')
      await send({ subscription: `b_${groupId}`, ago: 45, status: 'active' })
      t.match(await stateOf(made), FREE, 'an event that comes late is not what holds now')
      asked.now = subscriptionOf(`c_${groupId}`, groupId, 'active')
      await send({ subscription: `c_${groupId}`, ago: 60 })
      t.match(await stateOf(made), PREMIUM)
    })

    void t.test('an event that cannot be applied is kept whole, and applied later', async t => {
      const made = await fresh()
      const { groupId } = made
      const body = eventOf(world, { id: `evt_kept_${engine}`, groupId })
      await whileRefused(world.db, 'INSERT', 'activity_events', async () => {
        t.match(await post(world, body), { status: 200, body: { received: true } }, 'the last statement of the commit fails')
        t.match(await stateOf(made), { ...FREE, status: 'none' })
        t.match(await world.db.prepare('SELECT plan, max_members FROM groups WHERE id = ?').get(groupId), { plan: 'free', max_members: 5 })
        t.match(await world.db.prepare('SELECT processed_at, error FROM billing_events WHERE event_id = ?').get(`evt_kept_${engine}`), { processed_at: null, error: /^TDM_ERR_/ })
      }, { type: 'billing.changed' })
      world.clock.now += 60_000
      await settle(billingOf(world))
      t.match(await stateOf(made), { ...PREMIUM, status: 'active' })
      t.strictSame(await activityOf(world.db, groupId), ['premium active false'])
      t.match(await post(world, body), { body: { duplicate: true } })
    })

    void t.test('one that was stored before a crash is applied when it comes again', async t => {
      const made = await fresh()
      const body = eventOf(world, { groupId: made.groupId })
      const { id, type, createdAt } = readEvent(body)
      await world.db.prepare('INSERT INTO billing_events (event_id, type, created_at, received_at, payload) VALUES (?, ?, ?, ?, ?)').run(id, type, createdAt, world.clock.now, body)
      t.match(await post(world, body), { status: 200, body: { duplicate: undefined } })
      t.match(await stateOf(made), PREMIUM)
    })

    void t.test('nobody pays for a group that is gone', async t => {
      const { groupId } = await fresh()
      await world.db.prepare('UPDATE groups SET deleted_at = ? WHERE id = ?').run(world.clock.now, groupId)
      const asked = new FakeProvider()
      const billing = billingOf(world, asked)
      const body = eventOf(world, { groupId, ago: 5 })
      t.strictSame(await receiveEvent(billing, readEvent(body), body), { duplicate: false })
      t.strictSame(asked.ended, [`sub_${groupId}`])
      t.strictSame(await receiveEvent(billing, readEvent(body), body), { duplicate: true })
      await tell(t, world, { groupId, type: 'customer.subscription.deleted', status: 'canceled' })
      t.match(await world.db.prepare('SELECT status FROM subscriptions WHERE group_id = ?').get(groupId), { status: 'canceled' })
      t.match(await world.db.prepare('SELECT plan FROM groups WHERE id = ?').get(groupId), { plan: 'free' })
    })

    void t.test('with payments for trying: checkout, cancel, resume, portal, all by events', async t => {
      const made = await fresh()
      const path = `/billing/groups/${made.groupId}`
      const by = made.owner
      const buy = async (key?: string): Promise<Answer<unknown>> => await world.ask('POST', `${path}/checkout`, { by, body: { planId: 'premium' }, headers: key === undefined ? {} : { 'idempotency-key': key } })
      t.match(await world.ask('POST', `${path}/portal`, { by }), { status: 409, body: { error: { code: 'NO_CUSTOMER' } } })
      t.match(await world.ask('POST', `${path}/cancel`, { by, body: { cancel: true } }), { status: 409, body: { error: { code: 'NOT_SUBSCRIBED' } } })
      t.match(await buy(), { status: 400, body: { error: { code: 'VALIDATION', details: { pointer: '/headers/idempotency-key' } } } })
      t.match(await buy('a'), { status: 201, body: { url: `http://localhost:80/app/groups/${made.groupId}`, expiresAt: /Z$/ } })
      t.match(await stateOf(made), { ...PREMIUM, status: 'active' })
      t.match(await buy('a'), { status: 201, body: { url: /app/ } }, 'the same order')
      const other = await world.group(by, 'another')
      t.match(await world.ask('POST', `/billing/groups/${other.groupId}/checkout`, { by, body: { planId: 'premium' }, headers: { 'idempotency-key': 'a' } }), { status: 422, body: { error: { code: 'IDEMPOTENCY_MISMATCH' } } })
      t.match(await buy('b'), { status: 409, body: { error: { code: 'ALREADY_SUBSCRIBED' } } })
      t.match(await world.ask('POST', `${path}/cancel`, { by, body: { cancel: true } }), { status: 200, body: { ...PREMIUM, cancelAtPeriodEnd: true } })
      t.match(await world.ask('POST', `${path}/cancel`, { by, body: { cancel: false } }), { status: 200, body: { cancelAtPeriodEnd: false } })
      t.match(await world.ask('POST', `${path}/portal`, { by }), { status: 201, body: { url: /\/app\/groups\// } })
      world.clock.now += 1000
      t.match(await world.ask('POST', '/billing/mock/events', { body: { groupId: made.groupId, type: 'customer.subscription.deleted', status: 'canceled' } }), { status: 202, body: { eventId: /^evt_mock_/ } })
      t.match(await stateOf(made), { ...FREE, status: 'canceled' })
      t.match(await world.ask('POST', `${path}/cancel`, { by, body: { cancel: false } }), { status: 409 })
      world.clock.now += 1000
      t.match(await buy('c'), { status: 201 }, 'and again')
      t.match(await stateOf(made), PREMIUM)
      t.match(await world.ask('POST', '/billing/mock/events', { body: { groupId: made.groupId }, headers: { host: 'vault.example.org' } }), { status: 404 }, 'not from elsewhere')
      t.match(await world.ask('POST', '/billing/mock/events', { body: { groupId: made.groupId, x: 1 } }), { status: 400 })
    })
  })
}

void t.test('payments without money are for this machine only', async t => {
  const world = await startWorld(t, 'sqlite', { env: { VAULT_URL: 'http://localhost:80' } })
  const by = await world.person('Ann')
  const { groupId } = await world.group(by)
  const headers = { 'idempotency-key': 'k', 'x-forwarded-for': '203.0.113.1' }
  t.match(await world.ask('POST', `/billing/groups/${groupId}/checkout`, { by, body: { planId: 'premium' }, headers }), { status: 409, body: { error: { code: 'BILLING_OFF' } } })
  t.match(await world.ask('GET', `/billing/groups/${groupId}`, { by }), { body: FREE })
})

void t.test('in production there are no payments without money', async t => {
  const world = await startWorld(t, 'sqlite', { env: { NODE_ENV: 'production', VAULT_URL: 'http://localhost:80' } })
  const ann = await world.person('Ann')
  const { groupId } = await world.group(ann)
  t.match(await world.ask('POST', '/billing/mock/events', { body: { groupId } }), { status: 404 })
  t.match(await post(world, eventOf(world, { groupId })), { status: 409, body: { error: { code: 'BILLING_OFF' } } })
  t.match(await world.ask('POST', `/billing/groups/${groupId}/checkout`, { by: ann, body: { planId: 'premium' }, headers: { 'idempotency-key': 'k' } }), { status: 409, body: { error: { code: 'BILLING_OFF' } } })
})

/** A provider that says what the test wants. */
class FakeProvider implements BillingProvider {
  readonly name = 'mock'
  readonly ended: string[] = []
  now: ProviderSubscription | undefined
  questions = 0
  duringQuestion: (() => Promise<void>) | undefined

  async findSubscription (): Promise<ProviderSubscription | undefined> {
    this.questions++
    const { now } = this
    await this.duringQuestion?.()
    return now
  }

  async endSubscription (id: string): Promise<void> {
    await Promise.resolve(this.ended.push(id))
  }

  async createCheckout (): Promise<never> { return await deferred<never>().promise }
  async createPortal (): Promise<never> { return await deferred<never>().promise }
  async setCancel (): Promise<never> { return await deferred<never>().promise }
}

function billingOf (world: World, provider: BillingProvider = new FakeProvider()): Billing {
  return { db: world.db, provider, log: collectLog(), now: () => world.clock.now }
}

function subscriptionOf (id: string, groupId: string, status: string): ProviderSubscription {
  return { id, groupId, customerId: 'cus_1', status, periodEnd: null, cancelAtPeriodEnd: false }
}
