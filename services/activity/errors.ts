/** The errors of webhooks. */
import { define } from '../common/errors.ts'

export const UrlNotAllowed = define<[problem: string]>('TDM_ERR_VAULT_URL_NOT_ALLOWED', 'A webhook cannot lead there: %s.', 400)
export const WebhookLimit = define<[most: number]>('TDM_ERR_VAULT_WEBHOOK_LIMIT', 'The plan of the group has %d webhooks at most. Delete one, or choose another plan.', 409)
export const WebhookDisabled = define('TDM_ERR_VAULT_WEBHOOK_DISABLED', 'The webhook is disabled, so nothing is sent to it. Enable it first.', 409)
