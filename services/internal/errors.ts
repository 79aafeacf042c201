/** The errors of the internal routes. */
import { define } from '../common/errors.ts'

export const BadKey = define('TDM_ERR_VAULT_BAD_KEY', 'This needs the header x-internal-key with the right key.', 401)
export const BadNetwork = define('TDM_ERR_VAULT_BAD_NETWORK', 'This is not answered to the address that asks.', 403)
export const NotDev = define('TDM_ERR_VAULT_NOT_DEV', 'The database was not made for development: it had people or groups in it when it was first used, or was first used without VAULT_DEV_TOOLS. It is not reset.', 409)
