/** Payload: the version of the catalog that is in force from now on. */
export const CATALOG_CHANNEL = 'vault_catalog'
