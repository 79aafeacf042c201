/** The short form of `npm run faults:postgres`: under faults, what calls are told fits what is in the database. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { skip } from '../helper/postgres-server.ts'
import { start, waitFor } from '../rules/run.ts'

const options = { cwd: fileURLToPath(root) }

t.test('no write is lost, made up or done twice, and every call is answered', { skip, timeout: 100_000 }, async t => {
  const child = start(process.execPath, ['bench/postgres-faults.ts', '--minutes', '0.3', '--seed', '1', '--grace', '20000'], options)
  t.teardown(() => { child.kill('SIGTERM') })
  const { code, output } = await waitFor(child)
  t.equal(code, 0, output)
  t.match(output, /no violations/)
  t.match(output, /kill -9 the server/, 'there were faults')
})

t.test('--help says what there is, and nonsense is refused', async t => {
  const { code, output } = await waitFor(start(process.execPath, ['bench/postgres-faults.ts', '--help'], options))
  t.equal(code, 0)
  for (const option of ['--minutes', '--seed', '--clients', '--pgbouncer']) t.match(output, option)
  t.equal((await waitFor(start(process.execPath, ['bench/postgres-faults.ts', '--minutes', 'x'], options))).code, 1)
})
