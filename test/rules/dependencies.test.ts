/** The rules of rules.ts hold for this repository, and each of them finds what it is there for. */
import { existsSync } from 'node:fs'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { findViolations, rules } from './rules.ts'
import { parseSource, readSources } from './source.ts'

t.test('this repository keeps the rules', async t => {
  const paths = ['app.ts', 'plugins', 'services', 'scripts', 'test', 'bench'].filter(path => existsSync(new URL(path, root)))
  const files = readSources(...paths)
  t.ok(files.some(file => file.path === 'plugins/db/types.ts'), 'the files are found')
  t.ok(files.find(file => file.path === 'plugins/db/migrate.ts')?.imports.includes('plugins/db/types.ts'), 'and their imports')
  t.strictSame(findViolations(files), [])
})

/** For each rule: what it must find, file by file. */
const bad: Record<string, Array<[path: string, text: string, found: RegExp]>> = {
  'types.ts imports nothing': [
    ['plugins/db/types.ts', 'import type { X } from \'./x.ts\'', /imports plugins\/db\/x\.ts/],
    ['plugins/db/types.ts', 'export * from "node:fs"', /imports node:fs/],
    ['plugins/db/types.ts', 'type X = import(\'pg\').Pool', /imports pg/]
  ],
  'engines know neither Fastify nor the configuration nor what stands on them': [
    ['plugins/db/sqlite/engine.ts', 'import type { FastifyBaseLogger } from \'fastify\'', /imports fastify/],
    ['plugins/db/postgres/open.ts', 'const x = await import(\'@fastify/postgres\')', /imports @fastify\/postgres/],
    ['plugins/db/postgres/open.ts', 'import { a } from \'../../helps.ts\'', /imports plugins\/helps\.ts → fastify-plugin/],
    ['plugins/db/sqlite/open.ts', 'import {\n  readConfig\n} from \'../../config/index.ts\'', /imports plugins\/config\/index\.ts/]
  ],
  'stores know neither Fastify nor routes nor engines': [
    ['services/jobs/store.ts', 'import { a } from \'../../plugins/helps.ts\'', /imports plugins\/helps\.ts → fastify-plugin/],
    ['services/jobs/store.ts', 'import { routes } from \'./index.ts\'', /imports services\/jobs\/index\.ts/],
    ['services/jobs/tokens.ts', 'import { listRoutes } from \'./routes/list.ts\'', /imports services\/jobs\/routes\/list\.ts/],
    ['services/jobs/store.ts', 'import Sqlite from \'better-sqlite3\'', /imports better-sqlite3/]
  ],
  'plugins do not know the application': [['plugins/tx/index.ts', 'import \'../../services/jobs/store.ts\'', /imports services\/jobs\/store\.ts/]],
  'services do not know the app around them, its scripts or its tests': [['services/jobs/index.ts', 'export { app } from \'../../app.ts\'', /imports app\.ts/]],
  'only the database plugin knows drivers and engines': [
    ['services/jobs/index.ts', 'import pg from \'pg\'', /imports pg/],
    ['plugins/ops/index.ts', 'import { openSqlite } from \'../db/sqlite/engine.ts\'', /imports plugins\/db\/sqlite\/engine\.ts/]
  ],
  'drivers stay in the engines': [['plugins/db/transaction.ts', 'import type pg from \'pg\'', /imports pg/]],
  'no SQL in routes': [
    ['services/jobs/index.ts', 'const sql = `\n  SELECT id FROM job WHERE id = ${id}`', /SELECT id FROM job/],
    ['services/jobs/index.ts', 'await app.db.prepare<Job>(sql).all()', /app\.db\.prepare/],
    ['services/jobs/routes/list.ts', 'await app.db.prepare(\'DELETE FROM job\').run()', /app\.db\.prepare/],
    ['app.ts', 'await db\n  .exec(script)', /line 1/]
  ],
  'only plugins/config reads the environment': [
    ['plugins/db/index.ts', '// a comment\nconst url = process.env.DATABASE_URL', /line 2: const url = process\.env/],
    ['services/jobs/index.ts', 'const { HOME } = process[\'env\']', /line 1/],
    ['services/jobs/index.ts', 'import { env } from \'node:process\'', /line 1/]
  ],
  'no any': [
    ['plugins/ops/index.ts', 'function f (x: any): void {}', /line 1/],
    ['app.ts', 'const rows = answer as any[]', /line 1/],
    ['services/jobs/store.ts', 'const rows = new Map<string, any>()', /line 1/],
    ['services/jobs/store.ts', 'const text = `${(row as any).name}`', /line 1/]
  ],
  'nothing blocks the event loop to wait': [['plugins/db/sqlite/thread.ts', 'Atomics.wait(flag, 0, 0)', /line 1/]],
  'tests wait for what happens, and do not sleep': [
    ['test/x.test.ts', 'import { setTimeout as sleep } from \'node:timers/promises\'', /line 1/],
    ['test/x.test.ts', 'await new Promise(resolve => setTimeout(resolve, 10))', /line 1/],
    ['test/x.test.ts', 'await new Promise(resolve => { setTimeout(() => resolve(1), 10) })', /line 1/],
    ['test/x.test.ts', 'const sleep = promisify(setTimeout)', /line 1/]
  ]
}

for (const rule of rules) {
  t.test(`found when it is broken: ${rule.name}`, async t => {
    const cases = bad[rule.name] ?? []
    t.ok(cases.length > 0, 'there is a case')
    for (const [path, text, found] of cases) {
      const violations = findViolations([parseSource('plugins/helps.ts', 'import fp from \'fastify-plugin\''), parseSource(path, text)])
      t.ok(violations.some(line => line.startsWith(`${path}: ${rule.name}: `) && found.test(line)), text, { violations })
    }
  })
}

t.test('what is allowed is not found', async t => {
  const good: Array<[path: string, text: string]> = [
    ['plugins/db/types.ts', '/** import x from \'fastify\' */\nexport type X = \'from \'\n'],
    ['plugins/db/postgres/open.ts', 'import pg from \'pg\'\nimport { DbOpen } from \'../../errors.ts\''],
    ['plugins/errors.ts', 'import createError, { type FastifyError } from \'@fastify/error\''],
    ['services/jobs/index.ts', 'const schema = { description: \'SELECTs nothing; any job, with process.env\' } // db.exec(sql)'],
    ['services/jobs/index.ts', 'const quote = /[\'"`]/.exec(text) ?? AbortSignal.any([signal]); const half = a / b / c; return `${text}: any`'],
    ['services/jobs/store.ts', 'import type { Queryable } from \'../../plugins/db/types.ts\'\nconst sql = \'SELECT 1 = ANY (?)\''],
    ['services/jobs/migrations/index.ts', 'await db.prepare(\'SELECT version FROM schema_migrations\').get()'],
    ['plugins/config/index.ts', 'export const env = process.env'],
    ['test/x.test.ts', 'const sql = \'SELECT pg_sleep(1)\'; server.on(\'request\', (_, reply) => { setTimeout(() => { reply.end() }, 10) })'],
    ['test/helper/x.ts', 'import { setTimeout as sleep } from \'node:timers/promises\'']
  ]
  for (const [path, text] of good) t.strictSame(findViolations([parseSource(path, text)]), [], text)
})
