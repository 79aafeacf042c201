// Walking through a list by cursor: exactly its rows, in order, whatever it is sorted by; and what is no cursor of the list is refused.
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import fc from 'fast-check'
import { sortFields } from '../../../services/jobs/order.ts'
import type { Job } from '../../../services/jobs/schema.ts'
import { makeJobs, type JobData } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { bearer, openWith } from './service.ts'

interface List { jobs: Job[], items: number, page?: number, nextCursor?: string }

async function list (app: FastifyInstance, query: Record<string, string>): Promise<List> {
  const response = await app.inject({ url: '/api/jobs', query })
  if (response.statusCode !== 200) throw new Error(`${JSON.stringify(query)}: ${response.body}`)
  return response.json<List>()
}

async function walk (app: FastifyInstance, query: Record<string, string>): Promise<number[]> {
  const ids: number[] = []
  let cursor: string | undefined
  do {
    const page = await list(app, { ...query, ...(cursor === undefined ? {} : { cursor }) })
    ids.push(...page.jobs.map(job => job.id))
    cursor = page.nextCursor
  } while (cursor !== undefined && ids.length < 1000)
  return ids
}

/** Many ties, and values at the edges of what the columns hold. */
function makeEdges (): JobData {
  const data = makeJobs(90, 11)
  const change = (i: number, values: object): void => { Object.assign(data.jobs[i] ?? {}, values) }
  const footprints = ['{"cpu_load_avg":0.30000000000000004}', '{"cpu_load_avg":1e300}', '{"cpu_load_avg":-5}', '{"cpu_load_avg":9007199254740993}', '{"cpu_load_avg":12345678901234567890}', '{"cpu_load_avg":0.1234567890123456789}', '{"cpu_load_avg":null}', '{}']
  for (const [i, footprint] of footprints.entries()) change(i, { footprint })
  for (const [i, hpc_user] of ['Zoë', '\u{1F600}', '￿', 'O\'Hara', 'a\\b', ''].entries()) change(10 + i, { hpc_user })
  change(21, { energy: 0.1 + 0.2, start_time: 0 })
  change(22, { energy: 5e-324 })
  change(23, { duration: -7 })
  return data
}

const fields = [...sortFields, 'footprint.cpu_load_avg', 'footprint.flops_any_avg', 'footprint.none']
const filters: Array<Record<string, string>> = [{}, { cluster: 'alex' }, { user: 'user00' }, { state: 'completed' }, { numAcc: '1-8' }, { 'start-time': '1-' }, { tag: '1' }, { cluster: 'nowhere' }]

for (const engine of engines) {
  void t.test(`a walk by cursor gives the rows of the whole list, in order, on ${engine}`, { timeout: 100_000 }, async t => {
    const app = await openWith(t, engine, makeEdges(), { statements: ['UPDATE job SET job_id = 9007199254740995, energy = 1.7e308 WHERE id = 21'] }) // beyond what a number counts
    const check = async (field: string, sign: string, limit: number, filter: Record<string, string>): Promise<void> => {
      const query = { ...filter, sort: sign + field }
      const whole = await list(app, { ...query, limit: '1000' })
      t.equal(whole.nextCursor, undefined)
      t.strictSame(await walk(app, { ...query, limit: String(limit) }), whole.jobs.map(job => job.id), `${JSON.stringify(query)} by ${limit}`)
    }
    for (const field of fields) for (const sign of ['', '-']) await check(field, sign, 7, {})
    await fc.assert(fc.asyncProperty(fc.constantFrom(...fields), fc.constantFrom('', '-'), fc.integer({ min: 2, max: 40 }), fc.constantFrom(...filters), check), { numRuns: 25, seed: 1 })
    t.equal((await list(app, { sort: 'id', limit: '90' })).nextCursor, undefined, 'a last page that is full is the last')
    t.strictSame(await walk(app, { sort: 'id', limit: '1' }), makeEdges().jobs.map(job => job.id))
  })

  void t.test(`a page that was counted to goes on by cursor, on ${engine}`, async t => {
    const app = await openWith(t, engine, makeJobs(50, 3))
    const whole = (await list(app, { limit: '50' })).jobs.map(job => job.id)
    const second = await list(app, { limit: '10', page: '2' })
    t.equal(second.page, 2)
    const third = await list(app, { limit: '15', cursor: second.nextCursor ?? '' })
    t.equal(third.page, undefined)
    t.equal(third.items, 15)
    t.strictSame(third.jobs.map(job => job.id), whole.slice(20, 35))
  })

  void t.test(`what is no cursor of this list is refused, on ${engine}`, async t => {
    const app = await openWith(t, engine, makeJobs(30, 3))
    const cursorOf = async (query: Record<string, string>): Promise<string> => (await list(app, { limit: '5', ...query })).nextCursor ?? ''
    const forge = (...parts: unknown[]): string => Buffer.from(JSON.stringify(parts)).toString('base64url')
    const [name, value, id, check] = JSON.parse(Buffer.from(await cursorOf({}), 'base64url').toString()) as string[]
    const refused: Array<[query: Record<string, string>, message: RegExp]> = [
      [{ sort: 'id', cursor: await cursorOf({}) }, /sort=-startTime, and this one has sort=id/],
      [{ sort: 'startTime', cursor: await cursorOf({}) }, /sort=-startTime, and this one has sort=startTime/],
      [{ sort: 'footprint.id', cursor: await cursorOf({ sort: 'id' }) }, /this one has sort=footprint\.id/],
      [{ cluster: 'alex', cursor: await cursorOf({}) }, /another filter/],
      [{ cursor: 'nonsense' }, /not one that this service has made/],
      [{ cursor: forge() }, /not one/], [{ cursor: forge(name, value, 7, check) }, /not one/], [{ cursor: Buffer.from('{}').toString('base64url') }, /not one/],
      [{ cursor: forge(name, 'x', id, check) }, /not of the field/], [{ cursor: forge(name, value, '1.5', check) }, /not of the field/],
      [{ cursor: forge(name, '99999999999999999999', id, check) }, /not of the field/], [{ cursor: forge(name, null, id, check) }, /no value to go on from/],
      [{ sort: 'user', cursor: forge('user', 'a\0b', id, check) }, /not of the field/], [{ sort: 'energy', cursor: forge('energy', '1e9999', id, check) }, /not of the field/]
    ]
    for (const [query, message] of refused) {
      const response = await app.inject({ url: '/api/jobs', query })
      t.match(response.json(), { statusCode: 400, code: 'TDM_ERR_JOBS_BAD_CURSOR', message }, JSON.stringify(query))
    }
    t.match((await app.inject({ url: '/api/jobs', query: { page: '2', cursor: await cursorOf({}) } })).json(), { statusCode: 400, message: /querystring\/page has no meaning with a cursor/ })
    t.match((await app.inject({ url: '/api/jobs?cursor=a%20b' })).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
  })
}

void t.test('a cursor shows nobody more than he may see', async t => {
  const app = await openWith(t, 'sqlite', makeJobs(60, 4))
  const all = await bearer(app, ['admin'])
  const own = await bearer(app, ['user'], 'user00')
  const first = (await app.inject({ url: '/api/jobs?limit=5', headers: all })).json<List>()
  const page = (await app.inject({ url: '/api/jobs?limit=50', query: { cursor: first.nextCursor ?? '' }, headers: own })).json<List>()
  t.ok(page.jobs.length > 0 && page.jobs.every(job => job.user === 'user00'))
})
