/**
 * `npm run backup -- <file>`: copies the SQLite database of the configuration into a file, while the app goes on.
 *
 * What is kept true: exit code 0 means that the file is a whole copy and on the disk, any other that there is none (or still the one that was there). Progress and errors go to
 * stderr, the summary to stdout. The database is only read.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig, type Config } from '../plugins/config/index.ts'
import { formatBytes } from '../plugins/config/limits.ts'
import { openDatabase } from '../plugins/db/open.ts'
import { DbBackup } from '../plugins/errors.ts'
import { explain, quietLog, watchInterrupt } from './command.ts'
import { formatSeconds, Progress } from './terminal.ts'

const usage = `Usage: npm run backup -- <file> [options]

Copies the SQLite database in DATABASE_URL into <file>, as it is now, while the app goes on. The copy is a
database without a WAL; nothing else is needed to restore it. PostgreSQL has pg_dump for that.

  --force  replace <file>, if it is there
  --help   this text

Exit code: 0 when the copy is there, 1 on an error, 130 after Ctrl-C.`

const interrupted = watchInterrupt()
const progress = new Progress({ unit: 'MB' })

try {
  await main()
} catch (error) {
  progress.clear()
  console.error(interrupted.aborted ? 'backup: interrupted; there is no copy' : `backup: ${explain(error)}`)
  process.exitCode = interrupted.aborted ? 130 : 1
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { force: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const [path] = positionals
  if (path === undefined || positionals.length > 1) throw new Error(`expected the path of one file, got ${positionals.length}.\n\n${usage}`)
  loadDotEnv(process.cwd())
  const config = readConfig()
  refuse(config, path)
  const { bytes, durationMs } = await backUp(config, path, values.force === true)
  progress.clear()
  console.log(`${path}: ${formatBytes(bytes)} in ${formatSeconds(durationMs / 1000)}`)
}

function refuse ({ database }: Config, path: string): void {
  if (database.engine === 'postgres') throw new DbBackup(path, `${database.displayUrl} is PostgreSQL. Use pg_dump.`)
  if (database.path === ':memory:') throw new DbBackup(path, 'the database of another process\' memory cannot be reached.')
}

async function backUp (config: Config, path: string, overwrite: boolean) {
  const db = await openDatabase({ ...config, database: { ...config.database, readonly: true } }, quietLog) // a file that is not there is not made
  try {
    const onProgress = ({ bytes, totalBytes }: { bytes: number, totalBytes: number }): void => { progress.update(Math.round(bytes / 1e6), Math.round(totalBytes / 1e6)) }
    return await db.signal(interrupted, async () => await db.backup(path, { overwrite, onProgress }))
  } finally {
    await db.close()
  }
}
