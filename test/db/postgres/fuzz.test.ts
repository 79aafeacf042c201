/** The short form of the fuzz: `npm run fuzz:postgres` is the long one. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { freshUrl } from '../../helper/db.ts'
import { fuzz } from './fuzz.ts'

for (const { preparedStatements, statements } of [{ preparedStatements: 3, statements: 900 }, { preparedStatements: 250, statements: 600 }]) {
  void t.test(`R1: ${statements} random statements, ${preparedStatements} of them prepared at a time: each answer is that of pg, each write is done once`, async t => {
    const report = await fuzz(await freshUrl(t, 'postgres'), { statements, seed: preparedStatements, preparedStatements })
    t.strictSame(report.differences, [])
    t.ok(report.onLane > 0.5 * report.reads, `${report.onLane} of ${report.reads} reads were answered by a lane`)
    t.ok(report.errors > 0.05 * report.statements, `${report.errors} errors`)
    t.ok(report.written > 0, `${report.written} writes`)
  })
}

void t.test('R1: the same where no code may be generated: rows are read by a loop', async t => {
  const script = fileURLToPath(new URL('fuzz.ts', import.meta.url))
  const parameters = ['--disallow-code-generation-from-strings', script, '--statements', '300', '--seed', '7']
  const { stdout } = await promisify(execFile)(process.execPath, parameters, { env: { ...process.env, TEST_DATABASE_URL: await freshUrl(t, 'postgres') } })
  t.match(stdout, /300 statements compared: .* 0 differences/)
})
