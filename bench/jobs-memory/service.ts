/**
 * The service with its defaults: the application of app.ts, of which nothing is configured but the database. And one route that it does not have: `/incident` runs the
 * statement of the incident with its bad plan, through `app.db` like everything else, since the service itself would not choose it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import application from '../../app.ts'
import { formatBytes } from '../../plugins/config/limits.ts'
import { countConnections } from '../../plugins/config/rules.ts'
import { readJob, tell } from '../measure/child.ts'
import { explain, incidentPath, incidentSql, listPath, planOf, type Job, type StatementEnd, type Told } from './incident.ts'

const { path } = readJob<Job>()
const app = Fastify({ forceCloseConnections: true })
app.addHook('onSend', async ({ url }, reply, payload) => {
  if (url === listPath) await tell({ ended: endOf(reply.statusCode, payload) } satisfies Told)
  return payload
})
await app.register(fastifyPlugin(application), { env: { DATABASE_URL: `sqlite:${path}` } })
app.get(incidentPath, async () => {
  const row = await runToItsEnd()
  return row ?? null
})
process.on('message', () => { void planOfList().then(async plan => { await tell({ plan } satisfies Told) }) })

const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
await tell({ ready: { port: Number(port), plan: planOf(await app.db.prepare(explain(incidentSql)).all()), settings: settingsOf(app) } } satisfies Told)

/** Tells of the statement's end when its reader is free, which is later than the error that says so. */
async function runToItsEnd (): Promise<object | undefined> {
  try {
    const row = await app.db.prepare<{ start_time: number }>(incidentSql).get()
    await tell({ ended: { ending: 'answered', startTime: row?.start_time } } satisfies Told)
    return row
  } catch (error) {
    void whenFree().then(async () => { await tell({ ended: { ending: (error as { code?: string }).code ?? String(error), startTime: undefined } } satisfies Told) })
    throw error
  }
}

async function whenFree (): Promise<void> {
  while ((app.db.status().queues.threads?.used ?? 0) > 0) await sleep(1)
}

function endOf (statusCode: number, payload: unknown): StatementEnd {
  if (statusCode !== 200) return { ending: `status ${statusCode}`, startTime: undefined }
  const { jobs } = JSON.parse(String(payload)) as { jobs: Array<{ startTime: number }> }
  return { ending: 'answered', startTime: jobs[0]?.startTime }
}

/** Of the statement that the list was last answered with. */
async function planOfList (): Promise<string> {
  const list = app.db.status().statements.find(({ sql }) => /^SELECT .* FROM job\b.* ORDER BY job\.start_time DESC/s.test(sql))
  if (list === undefined) return 'not known'
  const values = Array.from(list.sql.matchAll(/\?/g), () => null)
  return planOf(await app.db.prepare(explain(list.sql)).all(...values))
}

function settingsOf ({ config: { sqlite, statementTimeoutMs } }: FastifyInstance): string {
  const { cacheBytes, readers, tempStore, softHeapBytes, hardHeapBytes } = sqlite
  return [
    `cache ${formatBytes(cacheBytes)} for each of ${countConnections(readers)} connections (together at most ${formatBytes(softHeapBytes)})`,
    `temp_store ${tempStore}`, `hard limit ${formatBytes(hardHeapBytes)}`, `statement time-out ${statementTimeoutMs / 1000} s`
  ].join(', ')
}
