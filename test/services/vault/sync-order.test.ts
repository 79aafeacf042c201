/** However reports are lost, repeated and mixed up, the last of each container stands, the vault is the sum, and each change has a version (I5, I7, I9, I10). */
import t from 'tap'
import { engines } from '../../helper/db.ts'
import { findDifferences } from '../../../scripts/vault-simulate/ledger.ts'
import { fuzzReports } from './sync-fuzz.ts'
import { startWorld } from './world.ts'

for (const engine of engines) {
  void t.test(`five writers, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    t.strictSame(await fuzzReports(world, { writers: 5, reports: 25, seed: 7 }), [])
  })
}

void t.test('a difference would be found', async t => {
  t.match(findDifferences(new Map([['a/bank', ['1:1:5']]]), new Map([['a/bank', ['1:1:6']], ['b/bank', []]])), ['a/bank: missing 1:1:5, too much 1:1:6'])
})
