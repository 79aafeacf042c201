/** The database of a soak run: generated jobs, on either engine. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PostgresServer } from '../../test/helper/postgres-server.ts'
import { makeJobsDatabase } from '../jobs/database.ts'

export interface Target {
  /** The configuration of the service. */
  readonly env: Readonly<Record<string, string>>
  stop: () => Promise<void>
}

export async function startTarget (engine: 'sqlite' | 'postgres', rows: number, seed: number): Promise<Target> {
  const target = engine === 'sqlite' ? startSqlite() : await startPostgres()
  try {
    await makeJobsDatabase(target.env.DATABASE_URL, { rows, seed, indices: 'ours' })
    return target
  } catch (error) {
    await target.stop()
    throw error
  }
}

type Place = Target & { readonly env: { readonly DATABASE_URL: string } }

function startSqlite (): Place {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-soak-'))
  const remove = (): void => { rmSync(folder, { recursive: true, force: true }) }
  process.once('exit', remove)
  return { env: { DATABASE_URL: `sqlite:${join(folder, 'jobs.db')}` }, stop: async () => { remove() } }
}

async function startPostgres (): Promise<Place> {
  const server = await PostgresServer.start({ settings: { max_connections: 50 } })
  return { env: { DATABASE_URL: server.url }, stop: async () => { await server.stop() } }
}
