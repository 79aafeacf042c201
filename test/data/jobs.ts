/**
 * Jobs made up from a seed, as a cc-backend database and as rows: the same seed, the same jobs.
 *
 * What is kept true of them: ids follow start times; many share a second, a user and a cluster (ties); every state, some NULLs, tags, arrays, and JSON as blobs with a
 * few texts among them are there. Knows nothing of the service: the tests compare it with what they compute from these rows.
 */
import { readFileSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { root } from '../helper/paths.ts'

export interface JobRow {
  id: number
  job_id: number
  cluster: string
  subcluster: string
  submit_time: number
  start_time: number
  hpc_user: string
  project: string
  cluster_partition: string | null
  array_job_id: number | null
  duration: number
  walltime: number
  job_state: string
  meta_data: string | null
  resources: string
  num_nodes: number
  num_hwthreads: number | null
  num_acc: number | null
  smt: number
  shared: string
  monitoring_status: number
  energy: number
  energy_footprint: string | null
  footprint: string | null
}

export interface JobData {
  jobs: JobRow[]
  tags: Array<{ id: number, tag_type: string, tag_name: string, tag_scope: string }>
  jobTags: Array<{ job_id: number, tag_id: number }>
  users: Array<{ username: string, name: string | null }>
}

/** Unix seconds of the newest possible start. */
export const NOW = 1_700_000_000

export const states = ['completed', 'completed', 'completed', 'completed', 'failed', 'cancelled', 'timeout', 'out_of_memory', 'node_fail', 'preempted']

const clusters = [
  { name: 'alex', parts: ['a40', 'a100'], threads: 16, accelerators: 1 },
  { name: 'fritz', parts: ['main', 'spr'], threads: 72, accelerators: 0 },
  { name: 'woody', parts: ['work'], threads: 4, accelerators: 0 }
] as const

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function createRandom (seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6D2B79F5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function makeJobs (count: number, seed = 1): JobData {
  const random = createRandom(seed)
  const jobs: JobRow[] = []
  const starts = Array.from({ length: count }, () => NOW - Math.floor(random() ** 2 * 60 * 86400)).sort((a, b) => a - b)
  for (const [i, start] of starts.entries()) jobs.push(makeJob(i + 1, start, random, jobs.at(-1)))
  const tags = ['app', 'note', 'test'].map((tag_type, i) => ({ id: i + 1, tag_type, tag_name: `tag${i + 1}`, tag_scope: 'global' }))
  const jobTags = jobs.flatMap(({ id }) => tags.filter(tag => random() < 0.05 * tag.id).map(tag => ({ job_id: id, tag_id: tag.id })))
  const usernames = [...new Set(jobs.map(job => job.hpc_user))].sort()
  return { jobs, tags, jobTags, users: usernames.slice(1).map((username, i) => ({ username, name: i === 0 ? null : `Name of ${username}` })) }
}

function makeJob (id: number, start: number, random: () => number, before: JobRow | undefined): JobRow {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const isBurst = before !== undefined && random() < 0.3
  const cluster = isBurst ? clusters.find(({ name }) => name === before.cluster) ?? clusters[0] : pick(clusters)
  const part = pick(cluster.parts)
  const nodes = cluster.name === 'fritz' && random() < 0.2 ? 2 ** Math.ceil(random() * 4) : 1
  const user = isBurst ? before.hpc_user : `user${String(Math.floor(random() ** 2 * 12)).padStart(2, '0')}`
  const walltime = pick([3600, 28800, 86400])
  const duration = Math.min(walltime + 20, Math.max(1, Math.floor(Math.exp(4 + random() * 7))))
  const started = isBurst ? before.start_time : start
  const isRunning = started + duration > NOW - 86400 && random() < 0.5
  return {
    id,
    job_id: 100_000 + id * 7,
    cluster: cluster.name,
    subcluster: part,
    submit_time: random() < 0.5 ? 0 : started - Math.floor(random() * 600),
    start_time: started,
    hpc_user: user,
    project: `Project${Number(user.slice(4)) % 5}`,
    cluster_partition: random() < 0.03 ? null : part,
    array_job_id: random() < 0.05 ? null : random() < 0.1 ? 100_000 + Math.max(1, id - 3) * 7 : 0,
    duration,
    walltime,
    job_state: isRunning ? 'running' : pick(states),
    meta_data: random() < 0.03 ? null : JSON.stringify({ jobName: pick(['interactive', 'train-a', 'TRAIN-b', 'md_run', 'x%y', 'größe', 'back\\slash']), jobScript: '#!/bin/sh\n' }),
    resources: JSON.stringify(makeResources(cluster.name, nodes, random)),
    num_nodes: nodes,
    num_hwthreads: random() < 0.03 ? null : cluster.threads * nodes,
    num_acc: random() < 0.03 ? null : cluster.accelerators * nodes * (random() < 0.2 ? 8 : 1),
    smt: random() < 0.2 ? 1 : 0,
    shared: pick(['none', 'single_user', 'multi_user']),
    monitoring_status: isRunning ? 1 : 3,
    energy: random() < 0.05 ? 0 : Math.round(random() * 5000) / 1000,
    energy_footprint: JSON.stringify({ cpu_power: 1, mem_power: 0.5 }),
    footprint: random() < 0.03 ? null : JSON.stringify(makeFootprint(random))
  }
}

function makeResources (cluster: string, nodes: number, random: () => number): object[] {
  const first = Math.floor(random() * 20)
  return Array.from({ length: nodes }, (_, i) => {
    const hostname = `${cluster[0]}${String(first + i).padStart(4, '0')}`
    return cluster === 'alex' ? { hostname, hwthreads: [0, 1, 2, 3], accelerators: ['00000000:01:00.0'] } : { hostname }
  })
}

function makeFootprint (random: () => number): Record<string, number> {
  const thousandths = (largest: number): number => Math.round(random() * largest * 1000) / 1000
  const footprint: Record<string, number> = { cpu_load_avg: thousandths(80), mem_bw_avg: thousandths(300) }
  if (random() < 0.9) footprint.flops_any_avg = thousandths(9000)
  if (random() < 0.5) footprint.mem_used_max = Math.floor(thousandths(256))
  return footprint
}

const jsonColumns: ReadonlySet<string> = new Set(['meta_data', 'resources', 'energy_footprint', 'footprint'])

/** Makes the file, as cc-backend would have: `version` of its schema, JSON in blobs (a few in texts), `statements` on top. */
export function writeJobDb (path: string, data: JobData, { version = 11, dirty = false, statements = [] as readonly string[] } = {}): void {
  const db = new Sqlite(path)
  db.exec(readFileSync(new URL('services/jobs/migrations/sqlite/001.do.create-jobs.sql', root), 'utf8'))
  db.exec('CREATE TABLE schema_migrations (version uint64, dirty bool)')
  db.prepare('INSERT INTO schema_migrations VALUES (?, ?)').run(BigInt(version), dirty ? 1n : 0n)
  const insert = (table: string, rows: readonly object[]): void => {
    for (const row of rows) {
      const names = Object.keys(row)
      db.prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`).run(...Object.entries(row).map(([name, value]) => toSqlite(name, value)))
    }
  }
  db.transaction(() => {
    insert('hpc_user', data.users)
    insert('tag', data.tags)
    insert('job', data.jobs)
    insert('jobtag', data.jobTags)
    for (const statement of statements) db.exec(statement)
  })()
  db.close()
}

let texts = 0

function toSqlite (name: string, value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value
  return typeof value === 'string' && jsonColumns.has(name) && ++texts % 50 !== 0 ? Buffer.from(value) : value
}
