/** Opens a database through the interface that is measured. */
import { readConfig } from '../../plugins/config/index.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database, Log } from '../../plugins/db/types.ts'

const log: Log = {
  info: () => {},
  warn: (_, message) => { console.error(message) },
  error: (_, message) => { console.error(message) }
}

/** A file. `variables`: as in the environment. */
export async function openTandem (path: string, variables: Record<string, string> = {}): Promise<Database> {
  return await openAt(`sqlite:${path}`, variables)
}

/** A database of either engine. */
export async function openAt (url: string, variables: Record<string, string> = {}): Promise<Database> {
  return await openDatabase(readConfig({ DATABASE_URL: url, ...variables }), log)
}

/** No statement is given up for the time it took, or for its wait. */
export const patient = { DB_STATEMENT_TIMEOUT: '0', DB_TX_TIMEOUT: '0', DB_ACQUIRE_TIMEOUT: '1h' }
