/** On SQLite: `generateJobs` and `importJobs`, each beside a loop of better-sqlite3 over the same rows. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { readConfig } from '../../plugins/config/index.ts'
import { migrate } from '../../plugins/db/migrate.ts'
import { openDatabase } from '../../plugins/db/open.ts'
import type { Database, Value } from '../../plugins/db/types.ts'
import { bulkConfig } from '../../services/jobs/bulk.ts'
import { generateJobs } from '../../services/jobs/generate/generate.ts'
import { columns, Jobs } from '../../services/jobs/generate/rows.ts'
import { importJobs } from '../../services/jobs/import.ts'
import { createIndex, indexSets } from '../../services/jobs/indices.ts'
import { migrations } from '../../services/migrations.ts'
import { runRounds, seenBy } from '../measure/rounds.ts'
import type { Outcome } from '../measure/measurement.ts'
import { compare, quiet, timeTurn, UNTIL, type Turn, type WriteSettings } from './report.ts'

const json: ReadonlySet<string> = new Set(['meta_data', 'resources', 'energy_footprint', 'footprint'])
const TRANSACTION_ROWS = 50_000

export async function measureSqlite (settings: WriteSettings): Promise<Outcome> {
  const source = join(settings.scratch, 'source.db')
  await makeSource(source, settings)
  const problems: string[] = []
  const turns = [
    { name: 'generate', run: async () => await inTandem(settings, problems, async (db, onIndex) => { await generateJobs(db, { ...optionsOf(settings), indices: 'ours', onStep: onIndex }) }) },
    { name: 'a loop that makes them', run: async () => await alone(settings, problems, () => made(settings), 'CAST(? AS BLOB)') },
    { name: 'import', run: async () => await inTandem(settings, problems, async (db, onIndex) => { await importJobs(db, source, { onIndex }) }) },
    { name: 'a loop that reads them', run: async () => await alone(settings, problems, () => read(source), '?') }
  ]
  const seen = await runRounds<Turn>(turns, settings.rounds, 'sqlite')
  const bounds = { ratio: { atLeast: 0.7 }, rate: { atLeast: 100_000 } }
  return {
    figures: [
      ...compare({ name: 'generate', ours: seenBy(seen, 'generate'), raw: seenBy(seen, 'a loop that makes them'), ...bounds }, settings),
      ...compare({ name: 'import', ours: seenBy(seen, 'import'), raw: seenBy(seen, 'a loop that reads them'), ...bounds }, settings)
    ],
    problems,
    notes: ['the driver alone: better-sqlite3, one prepared INSERT for each row, 50,000 a transaction, WAL, synchronous=normal, the same indices afterwards']
  }
}

function optionsOf ({ rows }: WriteSettings) {
  return { rows, seed: 1, meta: 'small', badRows: false, until: UNTIL } as const
}

/** As a database of cc-backend, for the import. */
async function makeSource (path: string, settings: WriteSettings): Promise<void> {
  const db = await open(path)
  await generateJobs(db, { ...optionsOf(settings), indices: 'ours' })
  await db.close()
  const sqlite = new Sqlite(path)
  sqlite.exec('CREATE TABLE schema_migrations (version INTEGER, dirty INTEGER); INSERT INTO schema_migrations VALUES (11, 0)')
  sqlite.close()
}

async function open (path: string): Promise<Database> {
  const db = await openDatabase(bulkConfig(readConfig({ DATABASE_URL: `sqlite:${path}` })), quiet)
  await migrate(db, migrations, { mode: 'on', log: quiet })
  return db
}

// --- one turn ------------------------------------------------------------------------------------------------------------------------

async function inTandem (settings: WriteSettings, problems: string[], write: (db: Database, onIndex: () => void) => Promise<void>): Promise<Turn> {
  const path = freshPath(settings)
  const db = await open(path)
  try {
    return await timeTurn(async onIndex => { await write(db, onIndex) })
  } finally {
    await db.close()
    check(path, settings, problems)
  }
}

/** With the driver and nothing else. */
async function alone (settings: WriteSettings, problems: string[], rowsOf: () => Iterable<readonly Value[]>, jsonValue: string): Promise<Turn> {
  const path = freshPath(settings)
  await (await open(path)).close()
  const db = new Sqlite(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16000')
  for (const { name } of indexSets.ours) db.exec(`DROP INDEX ${name}`)
  try {
    return await timeTurn(async onIndex => {
      insertAll(db, rowsOf(), jsonValue)
      onIndex()
      for (const index of indexSets.ours) db.exec(createIndex(index, 'sqlite'))
    })
  } finally {
    db.close()
    check(path, settings, problems)
  }
}

function insertAll (db: Sqlite.Database, rows: Iterable<readonly Value[]>, jsonValue: string): void {
  const insert = db.prepare(`INSERT INTO job (${columns.join(', ')}) VALUES (${columns.map(name => json.has(name) ? jsonValue : '?').join(', ')})`)
  let left = TRANSACTION_ROWS
  db.exec('BEGIN')
  for (const row of rows) {
    insert.run(...row)
    if (--left > 0) continue
    db.exec('COMMIT; BEGIN')
    left = TRANSACTION_ROWS
  }
  db.exec('COMMIT')
}

function * made (settings: WriteSettings): Generator<Value[]> {
  const jobs = new Jobs(optionsOf(settings))
  for (let rows = jobs.take(500); rows.length > 0; rows = jobs.take(500)) yield * rows
}

function * read (source: string): Generator<Value[]> {
  const db = new Sqlite(source, { readonly: true })
  try {
    yield * db.prepare(`SELECT ${columns.join(', ')} FROM job ORDER BY id`).raw().iterate() as IterableIterator<Value[]>
  } finally {
    db.close()
  }
}

function freshPath ({ scratch }: WriteSettings): string {
  const path = join(scratch, 'target.db')
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  return path
}

/** All rows and all indices are there. */
function check (path: string, { rows }: WriteSettings, problems: string[]): void {
  const db = new Sqlite(path, { readonly: true })
  const count = db.prepare('SELECT COUNT(*) FROM job').pluck().get()
  const indices = db.prepare('SELECT COUNT(*) FROM sqlite_master WHERE type = \'index\' AND tbl_name = \'job\' AND sql IS NOT NULL').pluck().get()
  db.close()
  if (count !== rows || indices !== indexSets.ours.length) problems.push(`there are ${String(count)} rows and ${String(indices)} indices`)
}
