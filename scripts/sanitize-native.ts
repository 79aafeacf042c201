/**
 * `npm run test:native:sanitize`: native/stress.c, with SQLite and native/watchdog.c, under the sanitizers of the C compiler: once with those for addresses and undefined
 * behaviour, once with the one for threads. Takes some minutes, most of them for compiling SQLite.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { Progress } from './terminal.ts'

const usage = `Usage: npm run test:native:sanitize -- [--seconds 20] [--threads 8]

Compiles native/stress.c, native/watchdog.c and SQLite with cc, once with -fsanitize=address,undefined
and once with -fsanitize=thread, and runs each for so many seconds, with so many threads (up to 64)
that run statements, and three more that cancel them. Then the process is ended in the middle of
statements, five times.

  --help  this text

Exit code: 0 if nothing was found, 1 otherwise.`

const sanitizers = [['address,undefined', '-fno-sanitize-recover=undefined'], ['thread']] as const
const root = fileURLToPath(new URL('../', import.meta.url))
const sqlite = join(root, 'node_modules', 'better-sqlite3', 'deps', 'sqlite3')
/** What matters here of the options that better-sqlite3 compiles SQLite with. */
const defines = ['-DSQLITE_THREADSAFE=2', '-DSQLITE_DEFAULT_MEMSTATUS=0', '-DSQLITE_ENABLE_FTS5', '-DSQLITE_OMIT_SHARED_CACHE', '-DSQLITE_OMIT_PROGRESS_CALLBACK',
  '-DSQLITE_OMIT_DEPRECATED', '-DSQLITE_TRACE_SIZE_LIMIT=32']

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' }, threads: { type: 'string', default: '8' }, help: { type: 'boolean', short: 'h' } } })
const scratch = mkdtempSync(join(tmpdir(), 'tandem-sanitize-'))
const progress = new Progress({ unit: 'steps' })
const steps = sanitizers.length * 3
let done = 0

try {
  if (values.help === true) console.log(usage)
  else for (const [sanitizer, ...flags] of sanitizers) await sanitize(sanitizer, flags)
} catch (error) {
  const { message, stdout = '', stderr = '' } = error as Error & { stdout?: string, stderr?: string }
  progress.clear()
  console.error(`${message}\n${stdout}${stderr}`)
  process.exitCode = 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function sanitize (sanitizer: string, flags: readonly string[]): Promise<void> {
  const program = join(scratch, `stress-${sanitizer}`)
  const common = ['-O1', '-g', '-w', '-fno-omit-frame-pointer', `-fsanitize=${sanitizer}`, ...flags, '-I', sqlite]
  await step(`compiling for ${sanitizer}`, 'cc', [...common, ...defines, '-o', program, join(root, 'native', 'stress.c'), join(root, 'native', 'watchdog.c'),
    join(sqlite, 'sqlite3.c'), '-lpthread', '-lm', '-ldl'])
  const report = await step(`running with ${sanitizer}`, program, [values.seconds, values.threads])
  progress.clear()
  console.log(`${sanitizer}: ${report.trim()}`)
  for (let i = 0; i < 4; i++) await run(program, ['exit'])
  await step(`ending with ${sanitizer}`, program, ['exit'])
}

async function step (label: string, program: string, args: readonly string[]): Promise<string> {
  progress.update(done, steps, label)
  const output = await run(program, args)
  progress.update(++done, steps, label)
  return output
}

async function run (program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd: scratch, maxBuffer: 2 ** 26 })
  return stdout
}
