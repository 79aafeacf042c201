/** The errors of billing. */
import { define } from '../common/errors.ts'

export const BadSignature = define<[problem: string]>('TDM_ERR_VAULT_BAD_SIGNATURE', 'The event is not accepted: %s.', 400)
export const AlreadySubscribed = define('TDM_ERR_VAULT_ALREADY_SUBSCRIBED', 'The group has a subscription already. Change it in the portal.', 409)
export const NoCustomer = define('TDM_ERR_VAULT_NO_CUSTOMER', 'Nobody has paid for this group yet, so there is nothing to show in the portal.', 409)
export const NotSubscribed = define('TDM_ERR_VAULT_NOT_SUBSCRIBED', 'The group has no subscription that could be cancelled or resumed.', 409)
export const BillingOff = define<[missing: string]>('TDM_ERR_VAULT_BILLING_OFF', 'This app takes no payments: %s is not set.', 409)
export const ProviderFailed = define<[problem: string]>('TDM_ERR_VAULT_PROVIDER_FAILED', 'The payment provider did not do what it was asked for (%s). Nothing was changed here; try again.', 502)
