/** plugins/db/migrate.ts on both engines: what is applied, when, and what is left behind when it is not. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { errorKind } from '../../plugins/errors.ts'
import { migrate, planMigrations, type AppliedMigration, type MigrationSet } from '../../plugins/db/migrate.ts'
import type { Database, EngineName } from '../../plugins/db/types.ts'
import { collectLog, engines, freshUrl, openTestDatabase, openUrl } from '../helper/db.ts'
import { withoutNotice } from '../helper/native.ts'
import { root } from '../helper/paths.ts'
import { start } from '../rules/run.ts'

type Files = Record<string, string>

const first = { '001.do.create-job.sql': 'CREATE TABLE job (id BIGINT PRIMARY KEY, name TEXT NOT NULL);\nINSERT INTO job (id, name) VALUES (1, \'one\');\n' }
const second = { '002.do.add-state.sql': 'ALTER TABLE job ADD COLUMN state TEXT;\n' }
const third = { '003.do.add-node.sql': 'CREATE TABLE node (id BIGINT PRIMARY KEY);\n' }

/** A set with the same files for both engines, in a folder whose name is all that a pattern would misunderstand. */
function makeSet (t: Test, files: Files, name = 'jobs'): MigrationSet {
  const folder = mkdtempSync(join(tmpdir(), 'tandem [a] {b,c} (d)! %20 #'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  const set = { name, directory: pathToFileURL(folder) }
  writeFiles(set, files)
  return set
}

/** Replaces the files of a set. */
function writeFiles ({ directory }: MigrationSet, files: Files): void {
  for (const engine of engines) {
    const folder = new URL(`${directory.href}/${engine}/`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const [name, sql] of Object.entries(files)) writeFileSync(new URL(name, folder), sql)
  }
}

async function migrateOn (db: Database, ...sets: MigrationSet[]): Promise<AppliedMigration[]> {
  return await migrate(db, sets, { mode: 'on', log: collectLog() })
}

async function migrateOff (db: Database, ...sets: MigrationSet[]): Promise<AppliedMigration[]> {
  return await migrate(db, sets, { mode: 'off', log: collectLog() })
}

/** All tables of the database, sorted. */
async function tablesOf (db: Database): Promise<string[]> {
  const sql = db.engine === 'sqlite'
    ? 'SELECT name FROM sqlite_master WHERE type = \'table\''
    : 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = \'public\''
  return (await db.prepare<{ name: string }>(sql).all()).map(row => row.name).sort()
}

/** `url` opened so that the database itself refuses writes. */
function readOnly (url: string, engine: EngineName): string {
  return engine === 'sqlite' ? `${url}?mode=ro` : `${url}?options=${encodeURIComponent('-c default_transaction_read_only=on')}`
}

for (const engine of engines) {
  t.test(engine, async t => {
    t.test('what is missing is applied in order, once, and recorded with a checksum', async t => {
      const db = await openTestDatabase(t, engine)
      const log = collectLog()
      const set = makeSet(t, { ...second, ...first })
      t.strictSame(await migrate(db, [set], { mode: 'on', log }), [
        { set: 'jobs', version: 1, file: '001.do.create-job.sql' },
        { set: 'jobs', version: 2, file: '002.do.add-state.sql' }
      ])
      t.strictSame(log.lines.map(line => line.message), ['migration ran', 'migration ran'])
      t.strictSame(await db.prepare('SELECT id, name, state FROM job').all(), [{ id: 1, name: 'one', state: null }])
      const rows = await db.prepare<{ version: number, name: string, md5: string, run_at: string }>('SELECT * FROM tandem_migrations_jobs ORDER BY version').all()
      t.match(rows, [{ version: 1, name: 'create-job', md5: /^[0-9a-f]{32}$/, run_at: /^\d{4}-\d\d-\d\d \d\d:/ }, { version: 2, name: 'add-state' }])
      t.strictSame(await migrateOn(db, set), [])
    })

    t.test('later files are applied on top of earlier ones', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, first)
      await migrateOn(db, set)
      writeFiles(set, { ...first, ...second, ...third })
      t.strictSame((await migrateOn(db, set)).map(({ version }) => version), [2, 3])
    })

    t.test('each set has its own versions', async t => {
      const db = await openTestDatabase(t, engine)
      const sets = [makeSet(t, first), makeSet(t, { '001.do.create-vault.sql': 'CREATE TABLE vault (id BIGINT);' }, 'vault')]
      t.strictSame((await migrateOn(db, ...sets)).map(({ set, version }) => `${set} ${version}`), ['jobs 1', 'vault 1'])
      t.strictSame(await tablesOf(db), ['job', 'tandem_migrations_jobs', 'tandem_migrations_vault', 'vault'])
    })

    t.test('a start with nothing to do sends no write and waits for no lock', async t => {
      const url = await freshUrl(t, engine)
      const db = await openUrl(t, url)
      const set = makeSet(t, { ...first, ...second })
      await migrateOn(db, set)
      const reader = await openUrl(t, readOnly(url, engine))
      t.strictSame(await migrateOn(reader, set), [], 'on a database that refuses writes')
      t.strictSame(await migrateOff(reader, set), [], 'also where migrations are off')
      const other = await openUrl(t, url)
      await db.tx(async tx => {
        await tx.exec('UPDATE job SET state = \'locked\'')
        if (engine === 'postgres') await tx.prepare('SELECT pg_advisory_xact_lock(?)').all(7_236_101_913)
        t.strictSame(await migrateOn(other, set), [], 'next to a transaction that holds the lock')
      })
    })

    t.test('with migrations off nothing is touched and what is missing is named', async t => {
      const db = await openTestDatabase(t, engine)
      const sets = [makeSet(t, { ...first, ...second }), makeSet(t, third, 'nodes')]
      await t.rejects(migrateOff(db, ...sets), {
        code: 'TDM_ERR_MIGRATE_MISSING',
        message: /jobs\/001\.do\.create-job\.sql, jobs\/002\.do\.add-state\.sql, nodes\/003\.do\.add-node\.sql/
      })
      t.strictSame(await tablesOf(db), [])
    })

    t.test('planMigrations tells what would be applied and touches nothing', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, first)
      t.match(await planMigrations(db, [set]), [{ set, isForeign: false, missing: [{ version: 1, file: '001.do.create-job.sql' }] }])
      t.strictSame(await tablesOf(db), [])
    })

    t.test('a failing migration leaves nothing of its set behind, and works when it is mended', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, { ...first, '002.do.broken.sql': 'CREATE TABLE half (id BIGINT); INSERT INTO nowhere (id) VALUES (1);' })
      await t.rejects(migrateOn(db, makeSet(t, third, 'nodes'), set), { code: 'TDM_ERR_MIGRATE_FAILED', message: /jobs\/002\.do\.broken\.sql/, cause: { kind: 'syntax' } })
      t.strictSame(await tablesOf(db), ['node', 'tandem_migrations_nodes'], 'the set before it stays')
      writeFiles(set, { ...first, ...second })
      t.equal((await migrateOn(db, set)).length, 2)
    })

    t.test('a migration cannot end the transaction that it runs in', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, { '001.do.commit.sql': 'CREATE TABLE half (id BIGINT); COMMIT; CREATE TABLE other (id BIGINT);' })
      await t.rejects(migrateOn(db, set), { code: 'TDM_ERR_MIGRATE_FAILED', cause: { code: 'TDM_ERR_DB_TRANSACTION_CONTROL' } })
      t.strictSame(await tablesOf(db), [])
    })

    t.test('what only COMMIT finds is a failed migration too', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, {
        '001.do.defer.sql': `CREATE TABLE parent (id BIGINT PRIMARY KEY);
          CREATE TABLE child (parent_id BIGINT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
          INSERT INTO child (parent_id) VALUES (1);`
      })
      const error = await migrateOn(db, set).catch((reason: unknown) => reason)
      t.match(error, { code: 'TDM_ERR_MIGRATE_FAILED', message: /jobs\/001\.do\.defer\.sql/ })
      t.equal(errorKind(error), 'foreignKey')
      t.strictSame(await tablesOf(db), [])
    })

    t.test('a file that changed after it was applied is refused; line endings are no change', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, { ...first, ...second })
      await migrateOn(db, set)
      writeFiles(set, Object.fromEntries(Object.entries({ ...first, ...second }).map(([name, sql]) => [name, sql.replaceAll('\n', '\r\n')])))
      t.strictSame(await migrateOn(db, set), [])
      writeFiles(set, { ...first, ...second, '001.do.create-job.sql': 'CREATE TABLE job (id BIGINT)' })
      const other = makeSet(t, third, 'nodes')
      await t.rejects(migrateOn(db, other, set), { code: 'TDM_ERR_MIGRATE_CHANGED', message: /jobs\/001\.do\.create-job\.sql/ })
      t.notOk((await tablesOf(db)).includes('node'), 'the set before it was not applied either')
    })

    t.test('a file that is gone, or that appears behind what was applied, is refused', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, { ...first, ...third })
      await migrateOn(db, set)
      writeFiles(set, { ...first, ...second, ...third })
      await t.rejects(migrateOn(db, set), { code: 'TDM_ERR_MIGRATE_CHANGED', message: /jobs\/002\.do\.add-state\.sql/ })
      writeFiles(set, third)
      await t.rejects(migrateOn(db, set), { code: 'TDM_ERR_MIGRATE_CHANGED', message: /version 1 \(create-job\)/ })
    })

    t.test('a database that is newer than the files is refused', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, { ...first, ...second })
      await migrateOn(db, set)
      writeFiles(set, first)
      await t.rejects(migrateOn(db, set), { code: 'TDM_ERR_MIGRATE_TOO_NEW', message: /jobs is at version 2, the files end with 1/ })
      await t.rejects(migrateOff(db, set), { code: 'TDM_ERR_MIGRATE_TOO_NEW' })
    })

    t.test('a foreign schema is left alone and misses nothing', async t => {
      const db = await openTestDatabase(t, engine)
      await db.exec('CREATE TABLE schema_migrations (version BIGINT)')
      const set = { ...makeSet(t, first), isForeign: async (asked: Database) => (await tablesOf(asked)).includes('schema_migrations') }
      t.strictSame(await migrateOn(db, set), [])
      t.strictSame(await migrateOff(db, set), [])
      t.strictSame(await tablesOf(db), ['schema_migrations'])
    })

    t.test('the time limits of ordinary work do not hold', async t => {
      const db = await openTestDatabase(t, engine, { DB_STATEMENT_TIMEOUT: '100ms', DB_TX_TIMEOUT: '100ms' })
      t.equal((await migrateOn(db, makeSet(t, { '001.do.slow.sql': slow(engine) }))).length, 1)
    })

    for (const state of engine === 'sqlite' ? ['exists', 'does not exist yet'] : ['exists']) {
      t.test(`four processes that start at once apply each migration once, if the database ${state}`, async t => {
        const url = await freshUrl(t, engine)
        if (state === 'exists') await (await openUrl(t, url)).close()
        const set = makeSet(t, { ...first, '002.do.slow.sql': slow(engine), ...third })
        const applied = await migrateInProcesses(4, url, set)
        t.strictSame(applied.map(list => list.length).sort(), [0, 0, 0, 3])
        const db = await openUrl(t, url)
        t.strictSame(await db.prepare('SELECT version FROM tandem_migrations_jobs ORDER BY version').all(), [{ version: 1 }, { version: 2 }, { version: 3 }])
      })
    }

    t.test('inside of a transaction it is refused', async t => {
      const db = await openTestDatabase(t, engine)
      const set = makeSet(t, first)
      await t.rejects(db.tx(async () => await migrateOn(db, set)), { code: 'TDM_ERR_TX_PROPAGATION' })
    })
  })
}

t.test('an aborted start leaves nothing behind', async t => {
  const db = await openTestDatabase(t, 'postgres')
  const controller = new AbortController()
  const set = makeSet(t, { ...first, '002.do.wait.sql': 'SELECT pg_sleep(60)' })
  const log = { ...collectLog(), info: () => { controller.abort() } } // the first file is through
  await t.rejects(db.signal(controller.signal, async () => await migrate(db, [set], { mode: 'on', log })), { code: 'TDM_ERR_MIGRATE_FAILED', cause: { kind: 'aborted' } })
  t.strictSame(await tablesOf(db), [])
})

t.test('files that cannot be used are found before anything is done', async t => {
  const db = await openTestDatabase(t, 'sqlite')
  const cases: Array<[Files, RegExp]> = [
    [{ 'create.sql': 'SELECT 1' }, /create\.sql is not named like/],
    [{ '001.undo.create.sql': 'SELECT 1' }, /001\.undo\.create\.sql is not named like/],
    [{ '001.do.a.sql': 'SELECT 1', '1.do.b.sql': 'SELECT 1' }, /version 1 and action do/]
  ]
  for (const [files, message] of cases) await t.rejects(migrateOn(db, makeSet(t, files)), { code: 'TDM_ERR_MIGRATE_FILES', cause: { message } })
  const nowhere = { name: 'jobs', directory: new URL('nowhere/', root) }
  await t.rejects(migrateOn(db, nowhere), { code: 'TDM_ERR_MIGRATE_FILES', cause: { code: 'ENOENT' } })
  for (const name of ['Jobs', 'a b', 'a";--', '']) await t.rejects(migrateOn(db, { ...makeSet(t, first), name }), { code: 'TDM_ERR_MIGRATE_FILES' })
  await t.rejects(migrateOn(db, makeSet(t, first), makeSet(t, third)), { code: 'TDM_ERR_MIGRATE_FILES' }, 'two sets of one name')
})

for (const engine of engines) {
  t.test(`npm run migrate on ${engine}`, async t => {
    const url = await freshUrl(t, engine)
    const missing = await runScript(url, '--dry-run')
    t.match(missing, { code: 0, stderr: '', stdout: /^database: .*\n(\w+\/\d+\.do\..*\.sql is missing\n)+\d+ would be applied\n$/ })
    t.notMatch(missing.stdout, 'test:test@', 'the password is not shown')
    t.match(await runScript(url), { code: 0, stderr: '', stdout: /(migration ran: set=\w+ .*\n)+\d+ applied\n$/ })
    t.match(await runScript(url), { code: 0, stdout: /\nnothing is missing\n$/ })
    t.match(await runScript(url, '--dry-run'), { code: 0, stdout: /\nnothing is missing\n$/ })
  })
}

t.test('npm run migrate explains itself, and its errors in one line', async t => {
  t.match(await runScript('sqlite::memory:', '--help'), { code: 0, stdout: /^Usage: npm run migrate/ })
  t.match(await runScript('sqlite::memory:', '--wet'), { code: 1, stdout: '', stderr: /^migrate: .*--wet.*\n$/ })
  const folder = `sqlite:${t.testdir()}`
  t.match(await runScript(folder), { code: 1, stdout: '', stderr: /^migrate: The database .* it is a folder.*\n$/ })
})

/** With coverage, which takes it three times as long, only without options. */
async function runScript (url: string, ...options: string[]): Promise<{ code: number, stdout: string, stderr: string }> {
  const parameters = [fileURLToPath(new URL('scripts/migrate.ts', root)), ...options]
  const spawning = { cwd: root, env: { PATH: process.env.PATH, DATABASE_URL: url } }
  const child = options.length === 0 ? spawn(process.execPath, parameters, spawning) : start(process.execPath, parameters, spawning)
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close') as Promise<[number]>, text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr: withoutNotice(stderr) }
}

/** SQL that takes a few hundred milliseconds and leaves a table. */
function slow (engine: EngineName): string {
  if (engine === 'postgres') return 'SELECT pg_sleep(0.3); CREATE TABLE slow (id BIGINT);'
  return 'CREATE TABLE slow AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT count(*) AS total FROM n;'
}

const program = (url: string, { name, directory }: MigrationSet): string => `
  import { readConfig } from ${JSON.stringify(new URL('plugins/config/index.ts', root).href)}
  import { openDatabase } from ${JSON.stringify(new URL('plugins/db/open.ts', root).href)}
  import { migrate } from ${JSON.stringify(new URL('plugins/db/migrate.ts', root).href)}
  const log = { info () {}, warn () {}, error () {} }
  console.log('ready')
  process.stdin.once('data', async () => {
    const db = await openDatabase(readConfig({ DATABASE_URL: ${JSON.stringify(url)} }), log)
    const applied = await migrate(db, [{ name: ${JSON.stringify(name)}, directory: new URL(${JSON.stringify(directory.href)}) }], { mode: 'on', log })
    await db.close()
    console.log(JSON.stringify(applied))
    process.exit()
  })`

/** What each of `count` processes applied; they begin at the same moment. */
async function migrateInProcesses (count: number, url: string, set: MigrationSet): Promise<AppliedMigration[][]> {
  const children = Array.from({ length: count }, () => start(process.execPath, ['--input-type=module', '--eval', program(url, set)], { stdio: 'pipe' }))
  const answers = await Promise.all(children.map(async child => {
    const failure = text(child.stderr)
    const lines = createInterface(child.stdout)
    const ended = once(lines, 'close')
    const answer: string[] = []
    await once(lines, 'line')
    lines.on('line', line => { answer.push(line) })
    return { child, answer, ended, failure }
  }))
  for (const { child } of answers) child.stdin?.write('go\n')
  return await Promise.all(answers.map(async ({ answer, ended, failure }) => {
    await ended
    if (answer[0] === undefined) throw new Error(await failure)
    return JSON.parse(answer[0]) as AppliedMigration[]
  }))
}
