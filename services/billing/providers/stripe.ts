/**
 * Payments by Stripe, over its HTTP interface (https://docs.stripe.com/api): forms in, JSON out.
 *
 * What is kept true: a POST has an Idempotency-Key, so that it can be sent again; an answer that takes longer than 10 s, or is larger than 1 MB, is a failure; neither the key
 * nor what was sent is in an error or in the log.
 */
import type { Log } from '../../../plugins/db/types.ts'
import { newSecret } from '../../common/secrets.ts'
import { BillingOff, ProviderFailed } from '../errors.ts'
import type { BillingProvider, CheckoutOrder, ProviderSubscription } from '../provider.ts'
import { readSubscription } from '../provider-objects.ts'

export interface StripeOptions {
  readonly key: string
  /** Of the plan premium. */
  readonly price: string | undefined
  readonly log: Log
  /** Default: Stripe's own. */
  readonly url?: string
  /** Default: 10,000. */
  readonly timeoutMs?: number
}

type Form = Readonly<Record<string, string>>
type Json = Readonly<Record<string, unknown>>

interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly form?: Form
  readonly key?: string
}

interface Answer { readonly status: number, readonly body: Json | undefined }

const TRIES = 2
const NO_ANSWER = 0
const MOST_BYTES = 1_000_000

export class StripeProvider implements BillingProvider {
  readonly name = 'stripe'
  readonly #options: StripeOptions

  constructor (options: StripeOptions) {
    this.#options = options
  }

  async createCheckout ({ groupId, customerId, returnUrl, key }: CheckoutOrder): Promise<{ url: string, expiresAt: number }> {
    const { price } = this.#options
    if (price === undefined) throw new BillingOff('VAULT_BILLING_PRICE')
    const form = {
      mode: 'subscription',
      'line_items[0][price]': price,
      'line_items[0][quantity]': '1',
      client_reference_id: groupId,
      'metadata[group_id]': groupId,
      'subscription_data[metadata][group_id]': groupId,
      success_url: returnUrl,
      cancel_url: returnUrl,
      ...(customerId !== null && { customer: customerId })
    }
    const { url, expires_at: expiresAt } = await this.#post('/v1/checkout/sessions', form, key)
    if (typeof url !== 'string' || typeof expiresAt !== 'number') throw new ProviderFailed('the answer has no address')
    return { url, expiresAt: expiresAt * 1000 }
  }

  async createPortal ({ customerId, returnUrl }: { customerId: string, returnUrl: string }): Promise<{ url: string }> {
    const { url } = await this.#post('/v1/billing_portal/sessions', { customer: customerId, return_url: returnUrl })
    if (typeof url !== 'string') throw new ProviderFailed('the answer has no address')
    return { url }
  }

  async setCancel (subscriptionId: string, cancel: boolean): Promise<ProviderSubscription> {
    return toSubscription(await this.#post(`/v1/subscriptions/${encodeURIComponent(subscriptionId)}`, { cancel_at_period_end: String(cancel) }))
  }

  async findSubscription (subscriptionId: string): Promise<ProviderSubscription | undefined> {
    const found = await this.#call({ method: 'GET', path: `/v1/subscriptions/${encodeURIComponent(subscriptionId)}` })
    return found && toSubscription(found)
  }

  async endSubscription (subscriptionId: string): Promise<void> {
    await this.#call({ method: 'DELETE', path: `/v1/subscriptions/${encodeURIComponent(subscriptionId)}` })
  }

  async #post (path: string, form: Form, key = newSecret()): Promise<Json> {
    const answer = await this.#call({ method: 'POST', path, form, key })
    if (answer === undefined) throw new ProviderFailed('it does not know what it was asked about')
    return answer
  }

  /** Undefined: 404. */
  async #call (call: Call): Promise<Json | undefined> {
    for (let i = 1; ; i++) {
      const { status, body } = await this.#send(call).catch((error: unknown) => this.#noteLoss(call, error))
      if (status === 404) return undefined
      if (status >= 200 && status < 300 && body !== undefined) return body
      if (i < TRIES && isPassing(status)) continue
      this.#noteRefusal(call, status, body)
      throw new ProviderFailed(status === NO_ANSWER ? 'no answer' : `status ${status}`)
    }
  }

  async #send ({ method, path, form, key }: Call): Promise<Answer> {
    const { key: apiKey, url = 'https://api.stripe.com', timeoutMs = 10_000 } = this.#options
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, ...(key !== undefined && { 'idempotency-key': key }) },
      ...(form && { body: new URLSearchParams(form) }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs)
    })
    return { status: response.status, body: parse(await readText(response)) }
  }

  /** The network. What was sent is not told: it may name people. */
  #noteLoss ({ method, path }: Call, error: unknown): Answer {
    this.#options.log.warn({ err: error, method, resource: resourceOf(path) }, 'the payment provider did not answer')
    return { status: NO_ANSWER, body: undefined }
  }

  #noteRefusal ({ method, path }: Call, status: number, body: Json | undefined): void {
    const { type, code } = (body?.error ?? {}) as Json
    this.#options.log.warn({ method, resource: resourceOf(path), status, type, code }, 'the payment provider has refused a request')
  }
}

function isPassing (status: number): boolean {
  return status === NO_ANSWER || status === 409 || status === 429 || status >= 500
}

function toSubscription (json: Json): ProviderSubscription {
  const subscription = readSubscription(json)
  if (subscription === undefined) throw new ProviderFailed('the answer is no subscription')
  return subscription
}

/** Without the id. */
function resourceOf (path: string): string {
  return path.split('/').slice(0, 3).join('/')
}

async function readText (response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const body: AsyncIterable<Uint8Array> | null = response.body
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MOST_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse (text: string): Json | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === 'object' && json !== null ? json as Json : undefined
  } catch {
    return undefined
  }
}
