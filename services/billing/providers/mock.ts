/**
 * Payments without money, for trying. What happens to a subscription is told as the real provider tells it: by an event in its form, signed, and posted to the same route.
 *
 * What is kept true: it changes nothing by itself. What it knows of subscriptions it forgets with the process; one that it does not know any more is taken for an active one.
 */
import { newSecret } from '../../common/secrets.ts'
import { ProviderFailed } from '../errors.ts'
import type { BillingProvider, CheckoutOrder, ProviderSubscription } from '../provider.ts'
import { readSubscription } from '../provider-objects.ts'
import { signBody } from '../signature.ts'

export interface MockOptions {
  readonly secret: string
  readonly now: () => number
  /** To the route of the events; answers the status. */
  readonly post: (body: string, signature: string) => Promise<number>
}

export interface Happening {
  /** Default: `customer.subscription.updated`. */
  readonly type?: string
  readonly groupId: string
  readonly status?: string
  /** Milliseconds since 1970. */
  readonly periodEnd?: number
  readonly cancelAtPeriodEnd?: boolean
}

const MONTH_MS = 30 * 86_400_000
const ID = 'sub_mock_'

export class MockProvider implements BillingProvider {
  readonly name = 'mock'
  readonly #options: MockOptions
  readonly #subscriptions = new Map<string, object>()

  constructor (options: MockOptions) {
    this.#options = options
  }

  /** Answers the id of the event. */
  async tell ({ type = 'customer.subscription.updated', ...happening }: Happening): Promise<string> {
    const object = this.#change(happening)
    const id = `evt_mock_${newSecret()}`
    const body = JSON.stringify({ id, object: 'event', type, created: this.#seconds(), livemode: false, data: { object } })
    const status = await this.#options.post(body, signBody(Buffer.from(body), this.#options.secret, this.#options.now()))
    if (status !== 200) throw new ProviderFailed(`its event was answered with ${status}`)
    return id
  }

  /** Paid at once. */
  async createCheckout ({ groupId, returnUrl }: CheckoutOrder): Promise<{ url: string, expiresAt: number }> {
    await this.tell({ type: 'customer.subscription.created', groupId, status: 'active', cancelAtPeriodEnd: false, periodEnd: this.#options.now() + MONTH_MS })
    return { url: returnUrl, expiresAt: this.#options.now() + 86_400_000 }
  }

  async createPortal ({ returnUrl }: { returnUrl: string }): Promise<{ url: string }> {
    return await Promise.resolve({ url: returnUrl })
  }

  async setCancel (subscriptionId: string, cancel: boolean): Promise<ProviderSubscription> {
    await this.tell({ groupId: subscriptionId.slice(ID.length), cancelAtPeriodEnd: cancel })
    const subscription = await this.findSubscription(subscriptionId)
    if (subscription === undefined) throw new ProviderFailed('it does not know the subscription')
    return subscription
  }

  async findSubscription (subscriptionId: string): Promise<ProviderSubscription | undefined> {
    return await Promise.resolve(readSubscription(this.#subscriptions.get(subscriptionId)))
  }

  async endSubscription (subscriptionId: string): Promise<void> {
    await this.tell({ type: 'customer.subscription.deleted', groupId: subscriptionId.slice(ID.length), status: 'canceled' })
  }

  #change ({ groupId, status, periodEnd, cancelAtPeriodEnd }: Omit<Happening, 'type'>): object {
    const id = ID + groupId
    const known = readSubscription(this.#subscriptions.get(id))
    const end = periodEnd ?? known?.periodEnd ?? this.#options.now() + MONTH_MS
    const object = {
      id,
      object: 'subscription',
      customer: `cus_mock_${groupId}`,
      status: status ?? known?.status ?? 'active',
      cancel_at_period_end: cancelAtPeriodEnd ?? known?.cancelAtPeriodEnd ?? false,
      metadata: { group_id: groupId },
      items: { object: 'list', data: [{ id: `si_mock_${groupId}`, current_period_end: Math.floor(end / 1000) }] }
    }
    this.#subscriptions.set(id, object)
    return object
  }

  #seconds (): number {
    return Math.floor(this.#options.now() / 1000)
  }
}
