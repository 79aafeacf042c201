/** The errors of the catalog. */
import { define } from '../common/errors.ts'

export const RefreshRunning = define('TDM_ERR_VAULT_REFRESH_RUNNING', 'The catalog is being refreshed already. Wait until that is done.', 409)
export const CatalogSuspect = define<[reasons: string]>('TDM_ERR_VAULT_CATALOG_SUSPECT', 'What the source sent cannot be right, and nothing was changed: %s.', 422)
export const CatalogSource = define<[problem: string]>('TDM_ERR_VAULT_CATALOG_SOURCE', 'The source of the catalog failed, and nothing was changed: %s.', 502)
export const NoCatalogUrl = define('TDM_ERR_VAULT_NO_CATALOG_URL', 'There is no source to refresh from: set VAULT_CATALOG_URL, or choose the source "default".', 409)
export const SnapshotNotReady = define('TDM_ERR_VAULT_SNAPSHOT_NOT_READY', 'This snapshot is not complete and cannot be put in force. Choose one with the status ready.', 409)
