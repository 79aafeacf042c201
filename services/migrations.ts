/** The schemas of all services, in the order in which they are applied: each may point at what those before it made. */
import type { MigrationSet } from '../plugins/db/migrate.ts'
import { isForeign, jobMigrations } from './jobs/migrations/index.ts'

/** The tables of the group vault; none of them are put into a database of cc-backend. */
const vaultMigrations: readonly MigrationSet[] = ['auth', 'groups', 'sync', 'vault', 'activity', 'catalog', 'billing', 'ops']
  .map(name => ({ name, directory: new URL(`./${name}/migrations/`, import.meta.url), sameForBoth: true, isForeign }))

export const migrations: readonly MigrationSet[] = [jobMigrations, ...vaultMigrations]
