/** On PostgreSQL: `generateJobs` and `importJobs`, each beside COPY of the same rows, whose bytes were prepared. */
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import Sqlite from 'better-sqlite3'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { readConfig } from '../../plugins/config/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database } from '../../plugins/db/types.ts'
import { bulkConfig } from '../../services/jobs/bulk.ts'
import { toCopyText } from '../../services/jobs/copy-text.ts'
import { generateJobs } from '../../services/jobs/generate/generate.ts'
import { columns, Jobs } from '../../services/jobs/generate/rows.ts'
import { importJobs } from '../../services/jobs/import.ts'
import { createIndex, indexSets } from '../../services/jobs/indices.ts'
import { migrations } from '../../services/migrations.ts'
import { PostgresServer } from '../../test/helper/postgres-server.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'
import type { Outcome } from '../measure/measurement.ts'
import { compare, quiet, timeTurn, UNTIL, type Turn, type WriteSettings } from './report.ts'

export async function measurePostgres (settings: WriteSettings): Promise<Outcome> {
  const server = await PostgresServer.start({ settings: { shared_buffers: '256MB', max_wal_size: '2GB', synchronous_commit: 'off', fsync: 'off', autovacuum: 'off' } })
  try {
    return await measure(settings, server.url)
  } finally {
    await server.stop()
  }
}

async function measure (settings: WriteSettings, server: string): Promise<Outcome> {
  const options = { rows: settings.rows, seed: 1, meta: 'small', badRows: false, until: UNTIL } as const
  const source = join(settings.scratch, 'source-for-postgres.db')
  await makeSource(source, options)
  const bytes = prepare(options)
  const problems: string[] = []
  const turns = [
    { name: 'generate', run: async () => await inTandem(server, settings, problems, async (db, onIndex) => { await generateJobs(db, { ...options, indices: 'ours', onStep: onIndex }) }) },
    { name: 'COPY', run: async () => await alone(server, bytes) },
    { name: 'import', run: async () => await inTandem(server, settings, problems, async (db, onIndex) => { await importJobs(db, source, { onIndex }) }) }
  ]
  const seen = await runRounds<Turn>(turns, settings.rounds, 'postgres')
  const raw = seenBy(seen, 'COPY')
  return {
    figures: ['generate', 'import'].flatMap(name => compare({ name, ours: seenBy(seen, name), raw, ratio: { atLeast: 0.5 } }, settings)),
    problems,
    notes: [`the driver alone: pg with pg-copy-streams, COPY in text format of ${Math.round(bytes.reduce((sum, chunk) => sum + chunk.length, 0) / 1e6)} MB that were prepared, the same indices afterwards`]
  }
}

async function makeSource (path: string, options: { rows: number, seed: number, meta: 'small', badRows: boolean, until: number }): Promise<void> {
  const db = await open(`sqlite:${path}`)
  await generateJobs(db, { ...options, indices: 'ours' })
  await db.close()
  const sqlite = new Sqlite(path)
  sqlite.exec('CREATE TABLE schema_migrations (version INTEGER, dirty INTEGER); INSERT INTO schema_migrations VALUES (11, 0)')
  sqlite.close()
}

function prepare (options: ConstructorParameters<typeof Jobs>[0]): Buffer[] {
  const jobs = new Jobs(options)
  const chunks: Buffer[] = []
  for (let rows = jobs.take(500); rows.length > 0; rows = jobs.take(500)) chunks.push(toCopyText(rows))
  return chunks
}

async function open (url: string): Promise<Database> {
  const db = await openDatabase(bulkConfig(readConfig({ DATABASE_URL: url })), quiet)
  await migrate(db, migrations, { mode: 'on', log: quiet })
  return db
}

let databases = 0

/** A new database, and its end. */
async function inDatabase<T> (server: string, run: (url: string) => Promise<T>): Promise<T> {
  const name = `jobs_write_${++databases}`
  const admin = new pg.Client({ connectionString: server })
  await admin.connect()
  try {
    await admin.query(`CREATE DATABASE ${name}`)
    const address = new URL(server)
    address.pathname = `/${name}`
    return await run(address.href)
  } finally {
    await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    await admin.end()
  }
}

async function inTandem (server: string, { rows }: WriteSettings, problems: string[], write: (db: Database, onIndex: () => void) => Promise<void>): Promise<Turn> {
  return await inDatabase(server, async url => {
    const db = await open(url)
    try {
      const turn = await timeTurn(async onIndex => { await write(db, onIndex) })
      const found = await db.prepare('SELECT COUNT(*) AS count, (SELECT COUNT(*) FROM pg_indexes WHERE tablename = \'job\') AS indices FROM job').get()
      if (found?.count !== rows || found.indices !== indexSets.ours.length + 1) problems.push(`there are ${String(found?.count)} rows and ${String(found?.indices)} indices`)
      return turn
    } finally {
      await db.close()
    }
  })
}

async function alone (server: string, bytes: readonly Buffer[]): Promise<Turn> {
  return await inDatabase(server, async url => {
    await (await open(url)).close()
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      for (const { name } of indexSets.ours) await client.query(`DROP INDEX ${name}`)
      return await timeTurn(async onIndex => {
        await pipeline(Readable.from(bytes), client.query(copyFrom(`COPY job (${columns.join(', ')}) FROM STDIN`)))
        onIndex()
        for (const index of indexSets.ours) await client.query(createIndex(index, 'postgres'))
        await client.query('ANALYZE job')
      })
    } finally {
      await client.end()
    }
  })
}
