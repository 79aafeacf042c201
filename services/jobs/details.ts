/**
 * What belongs to the jobs of a page: tags, meta data, energy. Part of the store.
 *
 * What is kept true: one statement for all jobs of a page, not one for each; of the tags those that the user may see.
 */
import { isNonEmpty, list, sql } from './fragment.ts'
import { findRows, settingsOf, type JobsDatabase, type JobsOptions } from './query.ts'
import { toEnergyFootprint, toMetaData, toNumber, toText } from './rows.ts'
import type { DetailedJob, Footprint, Job, MetaData, Tag, User } from './schema.ts'
import { isReadable } from './tags.ts'

export interface DetailsInput { user: User | null, jobs: readonly Job[], withMetadata: boolean }

/** The jobs, in their order. */
export async function withDetails (db: JobsDatabase, { user, jobs, withMetadata }: DetailsInput, options: JobsOptions = {}): Promise<DetailedJob[]> {
  const ids = jobs.map(({ id }) => id)
  if (!isNonEmpty(ids)) return []
  const tags = await tagsOf(db, user, ids)
  const columns = withMetadata ? await columnsOf(db, ids, options) : new Map<number, Columns>()
  return jobs.map(job => ({ ...job, ...columns.get(job.id), ...tags.get(job.id) }))
}

type Ids = readonly [number, ...number[]]

async function tagsOf (db: JobsDatabase, user: User | null, ids: Ids): Promise<Map<number, { tags: Tag[] }>> {
  const fields = sql`jobtag.job_id AS job_id, tag.id AS id, tag.tag_type AS type, tag.tag_name AS name, tag.tag_scope AS scope`
  const rows = await findRows(db, sql`SELECT ${fields} FROM jobtag JOIN tag ON tag.id = jobtag.tag_id WHERE jobtag.job_id IN ${list(ids)} AND ${isReadable(user)} ORDER BY tag.id`)
  const found = new Map<number, { tags: Tag[] }>()
  for (const row of rows) {
    const job = toNumber(row.job_id)
    const { tags } = found.get(job) ?? { tags: [] }
    tags.push({ id: toNumber(row.id), type: toText(row.type), name: toText(row.name), scope: toText(row.scope) })
    found.set(job, { tags })
  }
  return found
}

interface Columns { metaData: MetaData | null, energyFootprint: Footprint | null }

async function columnsOf (db: JobsDatabase, ids: Ids, options: JobsOptions): Promise<Map<number, Columns>> {
  const rows = await findRows(db, sql`SELECT job.id AS id, job.meta_data AS meta_data, job.energy_footprint AS energy_footprint FROM job WHERE job.id IN ${list(ids)}`)
  const bad = new Set<number>()
  const found = new Map(rows.map(({ id, meta_data = null, energy_footprint = null }) => {
    const report = (): void => { bad.add(toNumber(id)) }
    return [toNumber(id), { metaData: toMetaData(meta_data, report), energyFootprint: toEnergyFootprint(energy_footprint, report) }]
  }))
  if (bad.size > 0) settingsOf(options).warn({ ids: [...bad], columns: ['meta_data', 'energy_footprint'] }, 'jobs: broken JSON in these rows is shown as empty')
  return found
}
