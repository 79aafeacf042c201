/** What arrives from the payment provider is read only if it is signed, and as far as it is as documented. */
import { createHmac } from 'node:crypto'
import t from 'tap'
import { readEvent } from '../../../services/billing/provider-objects.ts'
import { checkSignature, signBody } from '../../../services/billing/signature.ts'

const now = 1_800_000_000_000
const body = Buffer.from('{"a":"ä"}')

void t.test('one right signature of any secret suffices', async t => {
  const check = (header: unknown, bytes: Uint8Array = body): void => { checkSignature({ body: bytes, header }, ['old', 'new'], now) }
  const refuses = (header: unknown, bytes: Uint8Array, why: string): void => { t.throws(() => { check(header, bytes) }, { code: 'TDM_ERR_VAULT_BAD_SIGNATURE', statusCode: 400 }, why) }
  const [time = '', right = ''] = signBody(body, 'new', now).split(',')

  check(signBody(body, 'old', now))
  check(signBody(body, 'new', now))
  check(`${time},v1=${'0'.repeat(64)},v0=${'1'.repeat(64)}, ${right}`)
  check(signBody(body, 'new', now - 300_000))
  check(signBody(body, 'new', now + 300_000))
  t.equal(right.slice(3), createHmac('sha256', 'new').update('1800000000.{"a":"ä"}').digest('hex'), 'as documented')

  refuses(signBody(body, 'other', now), body, 'another secret')
  refuses(signBody(body, 'new', now), Buffer.from('{"a":"b"}'), 'another body')
  refuses(signBody(body, 'new', now - 301_000), body, 'too old')
  refuses(signBody(body, 'new', now + 301_000), body, 'of the future')
  refuses(`t=1800000001,${right}`, body, 'another time')
  refuses(`${time},t=1800000000,${right}`, body, 'two times')
  refuses(`${time},${right.replace('v1', 'v0')}`, body, 'another scheme')
  refuses(`${time},v1=${right.slice(3).toUpperCase()}x`, body, 'no hexadecimal')
  for (const header of [undefined, '', 't=,v1=', right, time, ['a', 'b']]) refuses(header, body, `header ${String(header)}`)
})

void t.test('an event is read in the old form and the new one', async t => {
  const subscription = { id: 'sub_1', customer: 'cus_1', status: 'active', cancel_at_period_end: false, metadata: { group_id: 'grp_1' } }
  const read = (object: object) => readEvent(JSON.stringify({ id: 'evt_1', type: 'customer.subscription.updated', created: 1000, data: { object: { ...subscription, ...object } } }))
  t.strictSame(read({ current_period_end: 2000 }), {
    id: 'evt_1',
    type: 'customer.subscription.updated',
    createdAt: 1_000_000,
    subscription: { id: 'sub_1', groupId: 'grp_1', customerId: 'cus_1', status: 'active', periodEnd: 2_000_000, cancelAtPeriodEnd: false }
  })
  t.equal(read({ items: { data: [{ current_period_end: 3000 }, { current_period_end: 4000 }, null] } }).subscription?.periodEnd, 4_000_000)
  t.match(read({ customer: { id: 'cus_2' }, cancel_at: 5000 }).subscription, { customerId: 'cus_2', cancelAtPeriodEnd: true, periodEnd: null })
  t.match(read({ status: 7, metadata: null, customer: null }).subscription, { status: 'unknown', groupId: undefined, customerId: null })
  t.equal(read({ id: 7 }).subscription, undefined)
  t.equal(readEvent('{"id":"evt_1","type":"invoice.paid","created":1}').subscription, undefined)
  for (const text of ['', '[]', '{', 'null', '{"id":"evt_1","type":"x"}', '{"id":"","type":"x","created":1}', '{"id":"e\\u0000","type":"x","created":1}', '{"id":"e","type":"x","created":1.5}']) {
    t.throws(() => readEvent(text), { code: 'TDM_ERR_VAULT_BAD_REQUEST' }, text)
  }
})
