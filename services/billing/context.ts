/** What the routes of billing work with: beside what all services have, who takes the payments. */
import type { FastifyRequest } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { isLocal } from '../common/local.ts'
import { BillingOff } from './errors.ts'
import type { BillingProvider } from './provider.ts'
import type { MockProvider } from './providers/mock.ts'

export interface BillingContext extends VaultContext {
  /** Undefined: nobody does. */
  readonly provider: BillingProvider | undefined
  /** Undefined: it is not for trying. */
  readonly mock: MockProvider | undefined
  /** With what events are signed; any of them. */
  readonly secrets: readonly string[]
}

/** Throws `BILLING_OFF`. */
export function providerOf ({ provider }: BillingContext): BillingProvider {
  if (provider === undefined) throw new BillingOff('VAULT_BILLING_KEY')
  return provider
}

/** Payments without money are for this machine only. Throws `BILLING_OFF`. */
export function providerFor (request: FastifyRequest, context: BillingContext): BillingProvider {
  if (context.mock !== undefined && !isLocal(request)) throw new BillingOff('VAULT_BILLING_KEY')
  return providerOf(context)
}
