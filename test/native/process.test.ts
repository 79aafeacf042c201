/** The ends of threads and of the process, while statements run and while the native part watches them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { freshFolder } from '../helper/db.ts'
import { start, waitFor, type Ended } from '../rules/run.ts'
import { root } from '../helper/paths.ts'

/** Runs a program in a process of its own. In it are `Worker`, `once` and `startThread()`, which answers when the thread is in the middle of its statement. */
async function runProgram (t: Parameters<typeof freshFolder>[0], program: string): Promise<Ended> {
  const file = join(freshFolder(t), 'program.ts')
  const worker = new URL('./worker.ts', import.meta.url).href
  writeFileSync(file, `
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'
async function startThread () {
  const worker = new Worker(new URL('${worker}'), { workerData: { binary: undefined, file: ':memory:' } })
  const [{ slot }] = await once(worker, 'message')
  return Object.assign(worker, { slot })
}
async function run (worker, op, ms) {
  worker.postMessage({ do: 'run', op, ms, sql: endless })
  await once(worker, 'message')
}
${program}
`)
  return await waitFor(start(process.execPath, [file], { cwd: fileURLToPath(root) }))
}

t.test('22: with the native part in 8 threads, 7 of which end, the last one is still watched; then all end and the process too', async t => {
  const ended = await runProgram(t, `
const workers = await Promise.all(Array.from({ length: 8 }, startThread))
for (const worker of workers.slice(1)) await worker.terminate()
const [last] = workers
for (let op = 1; op <= 3; op++) {
  await run(last, op, 20)
  const [answer] = await once(last, 'message')
  console.log(answer.code, answer.reason)
}
await last.terminate()
const again = await startThread()
await run(again, 1, 20)
console.log((await once(again, 'message'))[0].reason)
await again.terminate()
`)
  t.strictSame(ended, { code: 0, signal: null, stdout: 'SQLITE_INTERRUPT time\n'.repeat(3) + 'time\n', output: ended.stdout })
})

t.test('21: a thread that is terminated in the middle of a statement ends with it, again and again', async t => {
  const ended = await runProgram(t, `
for (let i = 0; i < 20; i++) {
  const worker = await startThread()
  await run(worker, 1, 10)
  await worker.terminate()
}
console.log('done')
`)
  t.strictSame(ended, { code: 0, signal: null, stdout: 'done\n', output: 'done\n' })
})

for (const when of ['process.exit(7)', 'process.exitCode = 7; workers.forEach(worker => worker.unref())']) {
  t.test(`21: the process ends cleanly in the middle of statements (${when})`, async t => {
    for (let i = 0; i < 3; i++) {
      const ended = await runProgram(t, `
const workers = await Promise.all(Array.from({ length: 4 }, startThread))
await Promise.all(workers.map(worker => run(worker, 1, 50)))
${when}
`)
      t.strictSame(ended, { code: 7, signal: null, stdout: '', output: '' })
    }
  })
}
