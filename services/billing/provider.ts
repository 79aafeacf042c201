/** What the app asks of who takes the payments. Each call is one over the network: never inside of a transaction. All throw `PROVIDER_FAILED`. */

/** A subscription as the provider has it. Times are milliseconds since 1970. */
export interface ProviderSubscription {
  readonly id: string
  /** From the metadata; undefined: it is not one of ours. */
  readonly groupId: string | undefined
  readonly customerId: string | null
  /** `active`, `past_due`, …; the list is open. */
  readonly status: string
  readonly periodEnd: number | null
  readonly cancelAtPeriodEnd: boolean
}

export interface CheckoutOrder {
  readonly groupId: string
  /** Who has paid for this group before. */
  readonly customerId: string | null
  /** Where the person comes back to. */
  readonly returnUrl: string
  /** Two calls with the same key are one order. */
  readonly key: string
}

export interface BillingProvider {
  readonly name: 'stripe' | 'mock'
  createCheckout: (order: CheckoutOrder) => Promise<{ url: string, expiresAt: number }>
  createPortal: (wanted: { customerId: string, returnUrl: string }) => Promise<{ url: string }>
  /** To end with its period, or not to. Answers what it is then. */
  setCancel: (subscriptionId: string, cancel: boolean) => Promise<ProviderSubscription>
  /** Undefined: the provider does not know it. */
  findSubscription: (subscriptionId: string) => Promise<ProviderSubscription | undefined>
  /** At once. One that has ended already is fine. */
  endSubscription: (subscriptionId: string) => Promise<void>
}
