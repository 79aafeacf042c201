/** The errors of signing in and of accounts. */
import { define } from '../common/errors.ts'

export const ProviderUnknown = define('TDM_ERR_VAULT_PROVIDER_UNKNOWN', 'There is no such way to sign in here. GET /api/v1/auth/providers lists those that are.', 404)
export const OriginUnknown = define('TDM_ERR_VAULT_ORIGIN_UNKNOWN', 'Nobody can sign in from here: the app was not told where it is reached (VAULT_URL).', 503)
export const InvalidGrant = define('TDM_ERR_VAULT_INVALID_GRANT', 'The code is not valid: it is wrong, was used, has expired, or belongs to another request.', 400)
export const LastIdentity = define('TDM_ERR_VAULT_LAST_IDENTITY', 'This is the only way you have to sign in. Add another one first.', 409)
export const OwnsGroups = define('TDM_ERR_VAULT_OWNS_GROUPS', 'You own groups. Give them to another member, or delete them, first.', 409)
