/**
 * pgbench with 32 point reads a pipeline on one connection: what the server gives to a client that costs nothing and sends one Sync for 32 statements.
 * https://www.postgresql.org/docs/current/pgbench.html (`\startpipeline`)
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from './data.ts'

const run = promisify(execFile)

const STATEMENTS = 32
const PIPELINES_PER_SECOND = 2000

export async function isPgbenchInstalled (): Promise<boolean> {
  return await run('pgbench', ['--version']).then(() => true, () => false)
}

/** Statements a second. `seconds`: about so long, at 64,000 of them a second. */
export async function runPgbench (url: string, rows: number, seconds: number, folder: string): Promise<number> {
  const script = join(folder, 'pipeline.sql')
  writeFileSync(script, pipelineOf(rows))
  const { hostname, port, username, password, pathname } = new URL(url)
  const args = ['--no-vacuum', '--protocol=prepared', '--client=1', `--transactions=${Math.ceil(PIPELINES_PER_SECOND * seconds)}`, `--file=${script}`, '--host', hostname, '--port', port, '--username', username, pathname.slice(1)]
  const { stdout } = await run('pgbench', args, { env: { ...process.env, PGPASSWORD: password } })
  const perSecond = /^tps = ([\d.]+)/m.exec(stdout)?.[1]
  if (perSecond === undefined) throw new Error(`pgbench says no tps:\n${stdout}`)
  return Number(perSecond) * STATEMENTS
}

function pipelineOf (rows: number): string {
  const ids = Array.from({ length: STATEMENTS }, (_, i) => `\\set id${i} random(1, ${rows})`)
  const reads = ids.map((_, i) => `${sql.point.replace('$1', `:id${i}`)};`)
  return [...ids, '\\startpipeline', ...reads, '\\endpipeline', ''].join('\n')
}
