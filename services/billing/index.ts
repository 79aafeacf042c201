/**
 * Plans and subscriptions: who takes the payments, the routes, and what is looked after every minute.
 *
 * What is kept true: what a group has follows from what the provider has told, and from nothing else; that holds for payments without money, too.
 */
import type { FastifyInstance } from 'fastify'
import { errorKind } from '../../plugins/errors.ts'
import type { VaultContext } from '../common/context.ts'
import { newSecret } from '../common/secrets.ts'
import type { BillingContext } from './context.ts'
import { settle } from './process-events.ts'
import { MockProvider } from './providers/mock.ts'
import { StripeProvider } from './providers/stripe.ts'
import { mockRoute } from './routes/mock.ts'
import { stateRoutes } from './routes/state.ts'
import { subscriptionRoutes } from './routes/subscription.ts'
import { WEBHOOK, webhookRoute } from './routes/webhook.ts'

const SETTLE_EVERY_MS = 60_000

export default async function billing (app: FastifyInstance, context: VaultContext): Promise<void> {
  const all = choose(app, context)
  stateRoutes(app, all)
  subscriptionRoutes(app, all)
  await webhookRoute(app, all)
  mockRoute(app, all)
  settleOften(app, all)
}

function choose (app: FastifyInstance, context: VaultContext): BillingContext {
  const { settings: { billing: { key, secrets, price }, devTools }, log, now } = context
  if (key !== undefined) {
    if (secrets.length === 0) log.warn({}, 'billing: VAULT_BILLING_SECRETS is not set, so no event of the payment provider can be accepted')
    return { ...context, provider: new StripeProvider({ key, price, log }), mock: undefined, secrets }
  }
  if (!devTools) return { ...context, provider: undefined, mock: undefined, secrets }
  const secret = newSecret()
  const mock = new MockProvider({ secret, now, post: async (body, signature) => await postEvent(app, body, signature) })
  return { ...context, provider: mock, mock, secrets: [secret, ...secrets] }
}

/** Through the front door. */
async function postEvent (app: FastifyInstance, payload: string, signature: string): Promise<number> {
  const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
  return (await app.inject({ method: 'POST', url: WEBHOOK, headers, payload })).statusCode
}

/** One round after the other, from when the app is ready until it closes. */
function settleOften (app: FastifyInstance, { provider, log, now }: BillingContext): void {
  if (provider === undefined) return
  let round: Promise<void> = Promise.resolve()
  const run = (): void => {
    round = round.then(async () => { await settle({ db: app.db, provider, log, now }) }).catch((error: unknown) => {
      const isExpected = ['readonly', 'aborted'].includes(errorKind(error) ?? '')
      log[isExpected ? 'info' : 'warn']({ err: error }, 'billing: what was left over could not be looked after; again in a minute')
    })
  }
  let timer: NodeJS.Timeout | undefined
  app.addHook('onListen', async () => {
    run()
    timer = setInterval(run, SETTLE_EVERY_MS)
    timer.unref()
  })
  app.addHook('onClose', async () => {
    clearInterval(timer)
    await round
  })
}
