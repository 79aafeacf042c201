/** The errors of the vault and its live events. */
import { define } from '../common/errors.ts'

export const OnlyEvents = define('TDM_ERR_VAULT_ONLY_EVENTS', 'This answers with text/event-stream only, which the header Accept refuses.', 406)
export const LiveUnavailable = define('TDM_ERR_VAULT_LIVE_UNAVAILABLE', 'There are no live events here, because of how the database is reached. Ask for /vault/changes now and then instead.', 503)
