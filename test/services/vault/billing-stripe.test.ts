/** Payments by Stripe: what is sent over the wire, what may be sent again, and what a failure says. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { StripeProvider } from '../../../services/billing/providers/stripe.ts'
import { collectLog, type LogLine } from '../../helper/db.ts'

interface Sent { readonly line: string, readonly headers: IncomingHttpHeaders, readonly form: Record<string, string> }

/** A server in Stripe's place; `answers`: one after the other, null: the connection is closed, undefined: never. */
async function startStripe (t: Test, answers: Array<{ status?: number, body?: unknown, location?: string } | null | undefined>): Promise<{ provider: StripeProvider, sent: Sent[], lines: LogLine[] }> {
  const sent: Sent[] = []
  const server = createServer((request, response) => {
    void text(request).then(body => {
      sent.push({ line: `${request.method ?? ''} ${request.url ?? ''}`, headers: request.headers, form: Object.fromEntries(new URLSearchParams(body)) })
      const answer = answers[Math.min(sent.length, answers.length) - 1]
      if (answer === null) request.socket.destroy()
      else if (answer !== undefined) response.writeHead(answer.status ?? 200, answer.location === undefined ? {} : { location: answer.location }).end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const log = collectLog()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { provider: new StripeProvider({ key: 'sk_secret', price: 'price_1', log, url, timeoutMs: 300 }), sent, lines: log.lines }
}

const order = { groupId: 'grp_1', customerId: null, returnUrl: 'https://vault.example.org/app/groups/grp_1', key: 'key_1' }
const subscription = { id: 'sub_1', customer: 'cus_1', status: 'active', cancel_at_period_end: true, metadata: { group_id: 'grp_1' }, items: { data: [{ current_period_end: 2_000_000_000 }] } }

void t.test('an order is a form with the group in it', async t => {
  const { provider, sent } = await startStripe(t, [{ body: { url: 'https://checkout.stripe.com/c/1', expires_at: 1_800_000_000 } }])
  t.strictSame(await provider.createCheckout({ ...order, customerId: 'cus_1' }), { url: 'https://checkout.stripe.com/c/1', expiresAt: 1_800_000_000_000 })
  t.match(sent, [{
    line: 'POST /v1/checkout/sessions',
    headers: { authorization: 'Bearer sk_secret', 'idempotency-key': 'key_1', 'content-type': /^application\/x-www-form-urlencoded/ },
    form: { mode: 'subscription', 'line_items[0][price]': 'price_1', client_reference_id: 'grp_1', 'subscription_data[metadata][group_id]': 'grp_1', customer: 'cus_1', success_url: order.returnUrl }
  }])
})

void t.test('what may pass is tried once more, with the same key', async t => {
  for (const first of [null, { status: 500, body: {} }, { status: 429, body: {} }]) {
    const { provider, sent } = await startStripe(t, [first, { body: { url: 'https://billing.stripe.com/p/1' } }])
    t.strictSame(await provider.createPortal({ customerId: 'cus_1', returnUrl: order.returnUrl }), { url: 'https://billing.stripe.com/p/1' })
    t.equal(sent.length, 2)
    t.equal(sent[0]?.headers['idempotency-key'], sent[1]?.headers['idempotency-key'])
  }
})

void t.test('subscriptions are changed, found and ended', async t => {
  const expected = { id: 'sub_1', groupId: 'grp_1', customerId: 'cus_1', status: 'active', periodEnd: 2_000_000_000_000, cancelAtPeriodEnd: true }
  const { provider, sent } = await startStripe(t, [{ body: subscription }, { body: subscription }, { body: subscription }, { status: 404, body: {} }])
  t.strictSame(await provider.setCancel('sub_1', true), expected)
  t.strictSame(await provider.findSubscription('sub_1'), expected)
  await provider.endSubscription('sub_1')
  t.equal(await provider.findSubscription('sub_1'), undefined)
  await provider.endSubscription('sub_1')
  t.strictSame(sent.map(({ line }) => line), ['POST /v1/subscriptions/sub_1', 'GET /v1/subscriptions/sub_1', 'DELETE /v1/subscriptions/sub_1', 'GET /v1/subscriptions/sub_1', 'DELETE /v1/subscriptions/sub_1'])
  t.strictSame(sent[0]?.form, { cancel_at_period_end: 'true' })
})

void t.test('a failure says no more than it may', async t => {
  const failed = { code: 'TDM_ERR_VAULT_PROVIDER_FAILED', statusCode: 502 }
  for (const answer of [undefined, null, { status: 400, body: { error: { type: 'invalid_request_error', code: 'resource_missing', message: 'No such price: sk_secret' } } }, { body: 'no JSON' }, { body: { url: 7 } }, { body: 'x'.repeat(1_000_001) }, { status: 302, location: 'http://127.0.0.1:1/' }]) {
    const { provider, lines } = await startStripe(t, [answer])
    const error = await provider.createCheckout(order).then(() => undefined, (thrown: unknown) => thrown)
    t.match(error, failed)
    t.notMatch(`${String(error)} ${JSON.stringify(lines)}`, /sk_secret|grp_1/)
  }
  const { provider } = await startStripe(t, [{ body: { id: 7 } }])
  await t.rejects(provider.setCancel('sub_1', true), failed)
  const withoutPrice = new StripeProvider({ key: 'sk_secret', price: undefined, log: collectLog() })
  await t.rejects(withoutPrice.createCheckout(order), { code: 'TDM_ERR_VAULT_BILLING_OFF' })
})
