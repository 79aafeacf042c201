/**
 * The acceptance data beside this repository (../shared/data): real jobs, and what the original program answered about them. It is not part of the repository:
 * each test works on a copy, and skips where there is none.
 */
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import type { Test } from 'tap'
import type { MetricConfig } from '../../../services/jobs/schema.ts'
import { root } from '../../helper/paths.ts'

const folder = fileURLToPath(new URL('../shared/data/', root))

/** Why tests are skipped; undefined where the data is. */
export const missing = existsSync(join(folder, 'jobs-cases.sample.json')) ? undefined : `there is no acceptance data in ${folder}`

export interface Expected { result?: unknown, error?: string, keys?: unknown[] }

export interface Case {
  name: string
  op: string
  input: Record<string, unknown>
  compare: string
  plan_dependent?: boolean
  expected: Partial<Record<'both' | DataSet, Expected>>
}

export type DataSet = 'real' | 'mixed'
export const dataSets: readonly DataSet[] = ['real', 'mixed']

interface BadData { dataset: string, observed: Array<{ name: string, upstream: unknown }> }

interface CasesFile { cases: Case[], metric_config: MetricConfig, null_and_bad_data: BadData, datasets: { mixed: { statements: string[] } } }

export function readCases (): Case[] {
  return readFile().cases
}

export function readMetricConfig (): MetricConfig {
  return readFile().metric_config
}

/** What is wrong with the first rows, one each, as assignments; and what upstream answered about them. */
export function readBadRows (): { changes: string[], answers: Record<string, unknown> } {
  const { dataset, observed } = readFile().null_and_bad_data
  const changes = dataset.slice(dataset.indexOf(' SET ') + ' SET '.length).split(' ; ')
  return { changes, answers: Object.fromEntries(observed.map(({ name, upstream }) => [name, upstream])) }
}

/** A copy of one of the databases, removed with the test. */
export function copyDatabase (t: Test, name = 'job_canonical_v11.db'): string {
  const copies = mkdtempSync(join(tmpdir(), 'jobs-data-'))
  t.teardown(() => { rmSync(copies, { recursive: true, force: true }) })
  const path = join(copies, name)
  copyFileSync(join(folder, name), path)
  chmodSync(path, 0o600) // the copy of a read-only file is read-only as well
  return path
}

/** A copy of the real jobs, with the statements applied that make the data set. */
export function copyDataSet (t: Test, set: DataSet): string {
  const path = copyDatabase(t)
  if (set === 'mixed') changeDatabase(path, readFile().datasets.mixed.statements)
  return path
}

export function changeDatabase (path: string, statements: readonly string[]): void {
  const db = new Sqlite(path)
  for (const statement of statements) db.exec(statement)
  db.close()
}

function readFile (): CasesFile {
  return JSON.parse(readFileSync(join(folder, 'jobs-cases.sample.json'), 'utf8')) as CasesFile
}
