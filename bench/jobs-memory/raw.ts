/**
 * The process of the incident: better-sqlite3 with the settings that were in force, behind a socket. A page cache of 1,000,000,000 pages is one without a limit; there is no
 * time-out, so a statement goes on when its client has given up.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Sqlite from 'better-sqlite3'
import { readJob, tell } from '../measure/child.ts'
import { explain, incidentPath, incidentSql, planOf, type Job, type Told } from './incident.ts'

const { path } = readJob<Job>()
const db = new Sqlite(path, { readonly: true, timeout: 5000 })
db.pragma('cache_size = 1000000000')
db.pragma('temp_store = memory')
const settings = `cache_size ${String(db.pragma('cache_size', { simple: true }))} pages, temp_store memory, no time-out`

const incident = db.prepare<[], { start_time: number }>(incidentSql)
const point = db.prepare('SELECT id, job_id, job_state FROM job WHERE id = ?')

const server = createServer(({ url = '' }, response) => {
  const row = url === incidentPath ? incident.get() : point.get(Number(url.split('/').at(-1)))
  if (url === incidentPath) void tell({ ended: { ending: 'answered', startTime: (row as { start_time: number } | undefined)?.start_time } } satisfies Told)
  response.setHeader('content-type', 'application/json').end(JSON.stringify(row ?? null))
})
server.listen(0, '127.0.0.1', () => {
  const plan = planOf(db.prepare<[], { detail: string }>(explain(incidentSql)).all())
  void tell({ ready: { port: (server.address() as AddressInfo).port, plan, settings } } satisfies Told)
})
