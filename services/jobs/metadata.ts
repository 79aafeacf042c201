/**
 * What a job has besides the columns that a list shows: meta data, and the energy by metric. Part of the store.
 *
 * What is kept true: broken JSON is empty, and the parts of it that are wrong are left out, with a warning; an edit is one statement, so that two at the same time are both kept, and it touches no other key.
 */
import type { Column } from '../../plugins/db/types.ts'
import { visibleTo } from './access.ts'
import { dialects } from './dialect.ts'
import { JobsNotFound } from './errors.ts'
import { nameOf, newestOf, selecting } from './find.ts'
import { identifier, sql, where } from './fragment.ts'
import { checkText } from './input.ts'
import { findRows, settingsOf, type JobsDatabase, type JobsOptions, type WritableJobs } from './query.ts'
import { toEnergyFootprint, toMetaData, toNumber } from './rows.ts'
import type { EditMetaInput, Footprint, JobColumnInput, MetaData } from './schema.ts'

/** The meta data of a job; null if it has none. Throws `TDM_ERR_JOBS_NOT_FOUND`. */
export async function fetchMetadata (db: JobsDatabase, input: JobColumnInput, options: JobsOptions = {}): Promise<MetaData | null> {
  return toMetaData(await fetchColumn(db, 'meta_data', input), reporter(input.id, 'meta_data', options))
}

/** The energy that a job has taken, by metric, in kWh; null if it is not known. Throws `TDM_ERR_JOBS_NOT_FOUND`. */
export async function fetchEnergyFootprint (db: JobsDatabase, input: JobColumnInput, options: JobsOptions = {}): Promise<Footprint | null> {
  return toEnergyFootprint(await fetchColumn(db, 'energy_footprint', input), reporter(input.id, 'energy_footprint', options))
}

/** Sets one key of a job's meta data, and answers with all of it. Throws `TDM_ERR_JOBS_NOT_FOUND`, also for a job that the user may not see. */
export async function editMeta (db: WritableJobs, { user, key, value, ...selector }: EditMetaInput, options: JobsOptions = {}): Promise<MetaData> {
  checkText('key', key)
  checkText('value', value)
  const conditions = [...visibleTo(user), ...selecting(selector)]
  return await db.tx(async () => {
    const changed = dialects[db.engine].withText(sql`meta_data`, key, value)
    const [row] = await findRows(db, sql`UPDATE job SET meta_data = ${changed} WHERE id = ${newestOf(conditions)} RETURNING id, meta_data`)
    if (row === undefined) throw new JobsNotFound(nameOf(selector))
    return toMetaData(row.meta_data ?? null, reporter(toNumber(row.id), 'meta_data', options)) ?? {}
  })
}

async function fetchColumn (db: JobsDatabase, name: 'meta_data' | 'energy_footprint', { user, id }: JobColumnInput): Promise<Column> {
  const conditions = [...(user === undefined ? [] : visibleTo(user)), ...selecting({ id })]
  const [row] = await findRows(db, sql`SELECT ${identifier(`job.${name}`)} AS json FROM job${where(conditions)}`)
  if (row === undefined) throw new JobsNotFound(`id ${id}`)
  return row.json ?? null
}

/** Warns once. */
function reporter (id: number, column: string, options: JobsOptions): () => void {
  let isReported = false
  return () => {
    if (!isReported) settingsOf(options).warn({ ids: [id], columns: [column] }, 'jobs: broken JSON in this row is shown as empty')
    isReported = true
  }
}
