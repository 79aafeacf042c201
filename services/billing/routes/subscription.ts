/**
 * What the owner of a group does about its subscription. The provider does it, and tells of it by events.
 *
 * What is kept true: no route has a transaction while the provider is asked; what it answers is applied in one of its own. An order that is sent again with its key is one order:
 * here, and, if this process dies before it knows the answer, at the provider, which gets the same key.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { originOf, sessionOf } from '../../auth/access.ts'
import { withIdempotency } from '../../common/idempotency.ts'
import { API, describe } from '../../common/route.ts'
import { sha256 } from '../../common/secrets.ts'
import { providerFor, type BillingContext } from '../context.ts'
import { isOver } from '../entitlement.ts'
import { AlreadySubscribed, NoCustomer, NotSubscribed } from '../errors.ts'
import type { BillingProvider } from '../provider.ts'
import { CancelBody, Checkout, CheckoutBody, CheckoutHeaders, InGroup, Portal, State } from '../schema.ts'
import { applyAnswer } from '../store/apply.ts'
import { getBillingState, type BillingState } from '../store/state.ts'
import { getSubscription, type Subscription } from '../store/subscriptions.ts'

type Params = Static<typeof InGroup>

export function subscriptionRoutes (app: FastifyInstance, context: BillingContext): void {
  const { now } = context
  const onRequest = [app.inGroup.owner, app.limitTo({ max: 60, seconds: 60, by: ({ session }) => session?.userId })]

  /** Of another provider than the present one nothing can be asked. */
  async function findHeld (groupId: string, provider: BillingProvider): Promise<Subscription | undefined> {
    const held = await getSubscription(app.db, groupId)
    return held?.provider === provider.name ? held : undefined
  }

  const checkout = describe({
    family: 'billing', summary: 'Begins to pay', params: InGroup, headers: CheckoutHeaders, body: CheckoutBody, answers: { 201: Checkout }
  })
  app.post<{ Params: Params, Headers: Static<typeof CheckoutHeaders> }>(`${API}/billing/groups/:groupId/checkout`, {
    ...checkout,
    config: { ...checkout.config, tx: false },
    onRequest
  }, async (request, reply) => {
    const { groupId } = request.params
    const { userId } = sessionOf(request)
    const provider = providerFor(request, context)
    const key = request.headers['idempotency-key']
    const order = async (): Promise<Static<typeof Checkout>> => {
      const held = await findHeld(groupId, provider)
      if (held !== undefined && !isOver(held)) throw new AlreadySubscribed()
      const { url, expiresAt } = await provider.createCheckout({
        groupId, customerId: held?.customerId ?? null, returnUrl: pageOf(request, context), key: sha256(JSON.stringify([userId, groupId, key]))
      })
      return { url, expiresAt: new Date(expiresAt).toISOString() }
    }
    const asked = { scope: `${userId} POST checkout`, key, request: [groupId, request.body] }
    const { status, body } = await withIdempotency(app.db, asked, now(), async () => ({ status: 201, body: await order() }), { inTx: false })
    return await reply.code(status).send(body)
  })

  const portal = describe({ family: 'billing', summary: 'To the bills, at the payment provider', params: InGroup, answers: { 201: Portal } })
  app.post<{ Params: Params }>(`${API}/billing/groups/:groupId/portal`, {
    ...portal,
    config: { ...portal.config, tx: false },
    onRequest
  }, async (request, reply) => {
    const provider = providerFor(request, context)
    const { customerId } = await findHeld(request.params.groupId, provider) ?? { customerId: null }
    if (customerId === null) throw new NoCustomer()
    return await reply.code(201).send(await provider.createPortal({ customerId, returnUrl: pageOf(request, context) }))
  })

  const cancel = describe({ family: 'billing', summary: 'Ends with the period that is paid, or goes on after all', params: InGroup, body: CancelBody, answers: { 200: State } })
  app.post<{ Params: Params, Body: Static<typeof CancelBody> }>(`${API}/billing/groups/:groupId/cancel`, {
    ...cancel,
    config: { ...cancel.config, tx: false },
    onRequest
  }, async (request): Promise<BillingState> => {
    const { groupId } = request.params
    const provider = providerFor(request, context)
    const held = await findHeld(groupId, provider)
    if (held === undefined || isOver(held)) throw new NotSubscribed()
    const said = await provider.setCancel(held.subscriptionId, request.body.cancel)
    await applyAnswer(app.db, { groupId, said, seen: held.lastEventId }, now())
    return await getBillingState(app.db, groupId, now())
  })
}

/** Of the group. */
function pageOf (request: FastifyRequest<{ Params: Params }>, context: BillingContext): string {
  return `${originOf(request, context) ?? ''}/app/groups/${request.params.groupId}`
}
