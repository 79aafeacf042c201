/** The simulation of plugins: a short one, on both engines, ends with tables that are as acknowledged. What it finds wrong is told by its exit code. */
import t from 'tap'
import { simulate } from '../../scripts/vault-simulate/simulate.ts'
import { root } from '../helper/paths.ts'
import { engines, freshUrl } from '../helper/db.ts'
import { start, waitFor } from '../rules/run.ts'

for (const engine of engines) {
  t.test(`three groups play for two seconds, on ${engine}`, async t => {
    const labels = new Set<string>()
    const { tally, load, differences } = await simulate({
      url: await freshUrl(t, engine), groups: 3, members: 4, seconds: 2, seed: 3, signal: new AbortController().signal, onProgress: (_done, _total, label) => { labels.add(label) }
    })
    t.strictSame(differences, [])
    t.strictSame([...tally.errors], [])
    t.strictSame(load.errors, [])
    t.ok(tally.requests >= 12, 'each has asked')
    t.strictSame([...labels], ['making groups', 'signing in', 'warming up', 'playing', 'comparing'])
  })
}

t.test('it says how it is called, and refuses what it does not know', async t => {
  const cwd = new URL('.', root).pathname
  const run = async (...parameters: string[]) => await waitFor(start(process.execPath, ['scripts/vault-simulate.ts', ...parameters], { cwd }))
  t.match(await run('--help'), { code: 0, stdout: /--groups N/ })
  t.match(await run('--groups', 'many'), { code: 1, output: /--groups: a whole number/ })
})
