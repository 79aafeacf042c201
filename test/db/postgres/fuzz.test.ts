/** The short form of the fuzz: `npm run fuzz:postgres` is the long one. */
import t from 'tap'
import { freshUrl } from '../../helper/db.ts'
import { fuzz } from './fuzz.ts'

for (const { preparedStatements, statements } of [{ preparedStatements: 3, statements: 1200 }, { preparedStatements: 250, statements: 800 }]) {
  void t.test(`R1: ${statements} random statements, ${preparedStatements} of them prepared at a time: each answer is that of pg, each write is done once`, async t => {
    const report = await fuzz(await freshUrl(t, 'postgres'), { statements, seed: preparedStatements, preparedStatements })
    t.strictSame(report.differences, [])
    t.ok(report.onLane > 0.5 * report.reads, `${report.onLane} of ${report.reads} reads were answered by a lane`)
    t.ok(report.errors > 0.05 * report.statements, `${report.errors} errors`)
    t.ok(report.written > 0, `${report.written} writes`)
  })
}
