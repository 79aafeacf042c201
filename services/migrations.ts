/** The schemas of all services, in the order in which they are applied. */
import type { MigrationSet } from '../plugins/db/migrate.ts'
import { jobMigrations } from './jobs/migrations/index.ts'

export const migrations: readonly MigrationSet[] = [jobMigrations]
