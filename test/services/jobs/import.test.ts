// importJobs: all of a cc-backend database or nothing of it, as often as one likes.
import t, { type Test } from 'tap'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import type { Database } from '../../../plugins/db/types.ts'
import { importJobs, type ImportProgress } from '../../../services/jobs/import.ts'
import { makeJobs, writeJobDb, type JobData, type JobRow } from '../../data/jobs.ts'
import { engines, openUrl } from '../../helper/db.ts'
import { copyDatabase, missing } from './data-sets.ts'
import { openEmpty, readRows } from './databases.ts'

const data = makeJobs(1700, 6)
const tables = ['hpc_user', 'configuration', 'tag', 'job', 'job_cache', 'jobtag', 'node', 'node_state']

/** `t.testdir()` holds the database that is imported into, and can be made once only. */
function freshFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'jobs-import-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

function writeSource (t: Test, jobData: JobData = data, options: Parameters<typeof writeJobDb>[2] = {}): string {
  const path = join(freshFolder(t), 'job.db')
  writeJobDb(path, jobData, options)
  return path
}

/** All rows of a table, JSON parsed, so that both engines and the file can be compared. */
async function readTable (db: Database, table: string): Promise<unknown[]> {
  return comparable(await db.prepare(`SELECT * FROM ${table}`).all())
}

const json: ReadonlySet<string> = new Set(['meta_data', 'resources', 'energy_footprint', 'footprint', 'roles', 'projects', 'health_metrics'])

function comparable (rows: ReadonlyArray<Record<string, unknown>>): unknown[] {
  const parse = (value: unknown): unknown => value === null ? null : JSON.parse(Buffer.isBuffer(value) ? value.toString() : value as string)
  const parsed = rows.map(row => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, json.has(name) ? parse(value) : value])))
  return parsed.sort((a, b) => Object.values(a).slice(0, 2).join() < Object.values(b).slice(0, 2).join() ? -1 : 1)
}

async function counts (db: Database): Promise<unknown> {
  return Promise.all(tables.map(async table => (await db.prepare(`SELECT COUNT(*) AS count FROM ${table}`).get())?.count))
}

const extra = [
  'INSERT INTO configuration VALUES (\'user03\', \'key\', \'value\')',
  'INSERT INTO node (id, hostname, cluster, subcluster) VALUES (4, \'a0001\', \'alex\', \'a40\')',
  'INSERT INTO node_state (id, time_stamp, node_state, health_state, health_metrics, node_id) VALUES (9, 5, \'idle\', \'full\', \'["x"]\', 4), (10, 6, \'idle\', \'full\', NULL, NULL)',
  'INSERT INTO job_cache SELECT * FROM job WHERE id <= 3'
]

/** 1 has another state; 2 and 3 have exchanged their keys; 5 is gone and 4 has its key; 6 has another id, and so has tag 1. */
function changed ({ jobs, tags, jobTags, users }: JobData): JobData {
  const key = (id: number): Pick<JobRow, 'job_id' | 'cluster' | 'start_time'> => {
    const { job_id, cluster, start_time } = jobs[id - 1] as JobRow
    return { job_id, cluster, start_time }
  }
  const changes: Record<number, Partial<JobRow>> = { 1: { job_state: 'deadline', footprint: null }, 2: key(3), 3: key(2), 4: key(5), 6: { id: 6000 } }
  const newTag = (id: number): number => id === 1 ? 40 : id
  return {
    users,
    jobs: jobs.filter(({ id }) => id !== 5).map(job => ({ ...job, ...changes[job.id] })),
    tags: tags.map(tag => ({ ...tag, id: newTag(tag.id) })),
    jobTags: jobTags.filter(({ job_id }) => job_id !== 5).map(({ job_id, tag_id }) => ({ job_id: job_id === 6 ? 6000 : job_id, tag_id: newTag(tag_id) }))
  }
}

for (const engine of engines) {
  void t.test(`every row of every table arrives as it was, on ${engine}`, async t => {
    const path = writeSource(t, data, { statements: extra })
    const before = createHash('sha256').update(readFileSync(path)).digest('hex')
    const db = await openEmpty(t, engine)

    const progress: ImportProgress[] = []
    const summaries = await importJobs(db, path, { onProgress: step => { progress.push(step) } })
    t.same(summaries.map(({ table, rows, repaired, orphans }) => [table, rows, repaired, orphans]), [
      ['hpc_user', data.users.length, 0, 0], ['configuration', 1, 0, 0], ['tag', 3, 0, 0], ['job', 1700, 0, 0], ['job_cache', 3, 0, 0],
      ['jobtag', data.jobTags.length, 0, 0], ['node', 1, 0, 0], ['node_state', 2, 0, 0]
    ])
    for (const table of tables) t.same(await readTable(db, table), comparable(readRows(path, `SELECT * FROM ${table}`)), table)
    t.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), before, 'the source is as it was')

    const total = summaries.reduce((sum, { rows }) => sum + rows, 0)
    t.ok(progress.length > tables.length, 'progress within a table')
    t.ok(progress.every((step, i) => step.total === total && step.rows > (progress[i - 1]?.rows ?? 0)))
    t.match(progress.at(-1), { table: 'node_state', rows: total })
  })

  void t.test(`the next id comes after the imported ones, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    await importJobs(db, writeSource(t, makeJobs(10)))
    const tag = await db.prepare('INSERT INTO tag (tag_type, tag_name) VALUES (?, ?) RETURNING id').get('new', 'new')
    t.equal(tag?.id, 4)
    await importJobs(db, writeSource(t, makeJobs(10)))
    t.equal((await db.prepare('INSERT INTO tag (tag_type, tag_name) VALUES (?, ?) RETURNING id').get('new', 'newer'))?.id, 5)
    t.equal((await db.prepare('INSERT INTO node (hostname, cluster, subcluster) VALUES (?, ?, ?) RETURNING id').get('a', 'b', 'c'))?.id, 1, 'an empty table begins with 1')
  })

  void t.test(`a second import brings rows up to date, and doubles nothing, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const first = writeSource(t, data, { statements: extra })
    await importJobs(db, first)
    const once = await counts(db)
    await importJobs(db, first)
    t.same(await counts(db), once)

    const second = changed(data)
    const path = writeSource(t, second)
    await db.exec('INSERT INTO tag (id, tag_type, tag_name) VALUES (100, \'local\', \'mine\'); INSERT INTO jobtag (job_id, tag_id) VALUES (1, 100)')
    await importJobs(db, path)
    t.same(await readTable(db, 'job'), comparable(readRows(path, 'SELECT * FROM job')))
    const tagIds = (await db.prepare('SELECT id FROM tag ORDER BY id').all()).map(({ id }) => id)
    t.same(tagIds, [2, 3, 40, 100])
    const local = await db.prepare('SELECT job_id FROM jobtag WHERE tag_id = 100').all()
    t.same(local, [{ job_id: 1 }], 'what only the target has stays')
    const imported = await db.prepare('SELECT job_id, tag_id FROM jobtag WHERE tag_id <> 100 ORDER BY job_id, tag_id').all()
    t.same(imported, readRows(path, 'SELECT job_id, tag_id FROM jobtag ORDER BY job_id, tag_id'))
  })

  void t.test(`a failure on the way leaves nothing behind, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const path = writeSource(t)
    const none = await counts(db)

    await t.rejects(importJobs(db, path, { onProgress: ({ rows }) => { if (rows > 1000) throw new Error('enough') } }), { message: 'enough' })
    t.same(await counts(db), none, 'an error')

    const giveUp = new AbortController()
    await t.rejects(importJobs(db, path, { signal: giveUp.signal, onProgress: ({ rows }) => { if (rows > 1000) giveUp.abort() } }))
    t.same(await counts(db), none, 'a signal')
    await t.rejects(importJobs(db, path, { signal: AbortSignal.abort(new Error('before')) }), { message: 'before' })

    await importJobs(db, path)
    t.equal((await db.prepare('SELECT COUNT(*) AS count FROM job').get())?.count, 1700, 'the next one succeeds')
  })

  void t.test(`values that do not fit are repaired and counted, rows that point nowhere left out, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const path = writeSource(t, makeJobs(8), {
      statements: [
        'PRAGMA defer_foreign_keys = ON', 'UPDATE job SET num_acc = \'many\', duration = 12.75 WHERE id = 1', 'UPDATE job SET energy = \'x\' WHERE id = 2',
        'UPDATE job SET project = \'a\' || char(0) || \'b\' WHERE id = 3', 'UPDATE job SET footprint = \'not json\', resources = \'x\' WHERE id = 4',
        'UPDATE job SET meta_data = \'{"jobName":"a\\u0000b"}\' WHERE id = 5', 'UPDATE job SET meta_data = \'{"jobName":"\\ud800"}\' WHERE id = 6',
        'UPDATE job SET footprint = \'{"x":1e99999}\' WHERE id = 7', 'UPDATE job SET meta_data = \'{"jobName":"commit 1e99999 \\\\u0000 \\"1e99999\\""}\' WHERE id = 8'
      ]
    })
    const source = new Sqlite(path)
    source.pragma('foreign_keys = OFF')
    source.exec('DELETE FROM jobtag; INSERT INTO jobtag (job_id, tag_id) VALUES (1, 1), (999, 1), (1, 77); INSERT INTO configuration VALUES (\'nobody\', \'a\', \'b\')')
    source.close()

    const summaries = await importJobs(db, path)
    const job = summaries.find(({ table }) => table === 'job')
    t.equal(job?.repaired, engine === 'sqlite' ? 4 : 9, 'SQLite keeps JSON as it is')
    t.same(summaries.filter(({ orphans }) => orphans > 0).map(({ table, rows, orphans }) => [table, rows, orphans]), [['configuration', 0, 1], ['jobtag', 1, 2]])
    const rows = await db.prepare('SELECT num_acc, duration, energy, project, footprint, resources, meta_data FROM job ORDER BY id').all()
    t.match(rows[0], { num_acc: null, duration: 12 })
    t.equal(rows[1]?.energy, 0)
    t.equal(rows[2]?.project, 'ab')
    if (engine === 'postgres') t.same([rows[3]?.footprint, rows[3]?.resources, rows[4]?.meta_data, rows[5]?.meta_data, rows[6]?.footprint], [null, '[]', null, null, null])
    t.equal((JSON.parse(String(rows[7]?.meta_data)) as { jobName: string }).jobName, 'commit 1e99999 \\u0000 "1e99999"', 'what only looks bad is kept')
  })

  void t.test(`versions 9 to 11 can be imported, with the columns that they have, on ${engine}`, async t => {
    for (const version of [9, 10, 11]) {
      const db = await openEmpty(t, engine)
      const statements = version === 11 ? [] : ['ALTER TABLE node_state DROP COLUMN health_metrics', 'ALTER TABLE tag DROP COLUMN insert_ts', 'DROP TABLE job_cache']
      const summaries = await importJobs(db, writeSource(t, makeJobs(5), { version, statements }))
      t.equal(summaries.find(({ table }) => table === 'job')?.rows, 5, `version ${version}`)
    }
  })

  void t.test(`a source that cannot be used is refused before anything is written, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    const none = await counts(db)
    const folder = freshFolder(t)
    mkdirSync(join(folder, 'folder'))
    writeFileSync(join(folder, 'text.db'), 'this is not a database')
    writeFileSync(join(folder, 'empty.db'), '')
    const other = new Sqlite(join(folder, 'other.db'))
    other.exec('CREATE TABLE job (id INTEGER); CREATE TABLE schema_migrations (id INTEGER)')
    other.close()
    const bad: Array<[path: string, reason: RegExp]> = [
      [join(folder, 'none.db'), /no such file/], [join(folder, 'folder'), /not a file/], [join(folder, 'text.db'), /not an SQLite database/], [join(folder, 'empty.db'), /not one of cc-backend/],
      [join(folder, 'other.db'), /not one of cc-backend/]
    ]
    for (const [version, dirty, reason] of [[8, false, /version 8.*cc-backend/], [12, false, /version 12/], [10, true, /unfinished/]] as const) {
      const path = join(folder, `v${version}.db`)
      writeJobDb(path, makeJobs(2), { version, dirty })
      bad.push([path, reason])
    }
    const lacking = join(folder, 'lacking.db')
    writeJobDb(lacking, makeJobs(2), { statements: ['ALTER TABLE job DROP COLUMN walltime'] })
    bad.push([lacking, /no column job\.walltime/])
    for (const [path, message] of bad) await t.rejects(importJobs(db, path), { code: 'TDM_ERR_JOBS_IMPORT', message }, path)
    t.same(await counts(db), none)
  })
}

void t.test('a database is not imported into itself, nor into one that belongs to a cc-backend', async t => {
  const path = writeSource(t, makeJobs(2))
  const db = await openUrl(t, `sqlite:${path}`)
  await t.rejects(importJobs(db, path), { code: 'TDM_ERR_JOBS_IMPORT', message: /itself/ })
  await t.rejects(importJobs(db, writeSource(t, makeJobs(2))), { code: 'TDM_ERR_JOBS_IMPORT', message: /belongs to a cc-backend/ })
})

void t.test('the real databases can be imported', { skip: missing ?? false }, async t => {
  for (const name of ['job.db', 'job_canonical_v11.db', 'job_v10_79idx.db']) {
    for (const engine of engines) {
      const db = await openEmpty(t, engine)
      const path = copyDatabase(t, name)
      await importJobs(db, path)
      t.same(await readTable(db, 'job'), comparable(readRows(path, 'SELECT * FROM job')), `${name} into ${engine}`)
    }
  }
})

void t.test('a damaged source is refused', async t => {
  const path = writeSource(t)
  const bytes = readFileSync(path)
  const damaged = join(freshFolder(t), 'job.db')
  writeFileSync(damaged, Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.length - 100, 7)]))
  const db = await openEmpty(t, 'sqlite')
  await t.rejects(importJobs(db, damaged), { code: 'TDM_ERR_JOBS_IMPORT', message: /damaged/ })
})
