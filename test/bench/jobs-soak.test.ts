/** The short form of `npm run jobs:soak`: no answer is wrong, and nothing of a client that has left stays behind. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { engines } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { skip } from '../helper/postgres-server.ts'
import { start, waitFor } from '../rules/run.ts'

const options = { cwd: fileURLToPath(root) }

for (const engine of engines) {
  t.test(`${engine}: all routes at once, under clients that leave`, { skip: engine === 'postgres' && skip, timeout: 100_000 }, async t => {
    const child = start(process.execPath, ['bench/jobs-soak.ts', '--engine', engine, '--minutes', '0.2', '--rows', '5000', '--clients', '10', '--seed', '1', '--freed', '20000'], options)
    t.teardown(() => { child.kill('SIGTERM') })
    const { code, output } = await waitFor(child)
    t.equal(code, 0, output)
    t.match(output, /no violations/)
    t.match(output, /503 TDM_ERR_(?:DB_TIMEOUT|JOBS_TIME_LIMIT)/, 'some had too little time')
  })
}

t.test('--help says what there is, and nonsense is refused', async t => {
  const { code, output } = await waitFor(start(process.execPath, ['bench/jobs-soak.ts', '--help'], options))
  t.equal(code, 0)
  for (const option of ['--minutes', '--clients', '--engine', '--seed', '--rows']) t.match(output, option)
  t.equal((await waitFor(start(process.execPath, ['bench/jobs-soak.ts', '--minutes', 'x'], options))).code, 1)
})
