/**
 * What the clients of the soak run send: an entry for each route of the service. A route without one is a violation, so a new route needs a line here.
 *
 * `words` are names and numbers that are in the data; the service itself was asked for them.
 */
import type { Random } from '../faults/random.ts'

export interface Words {
  readonly users: readonly string[]
  readonly projects: readonly string[]
  readonly clusters: readonly string[]
  readonly firstId: number
  readonly lastId: number
  /** Unix seconds of the newest start. */
  readonly newest: number
  /** Of the second page of all jobs. */
  readonly cursor: string
}

export interface Plan {
  /** With the query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
}

export interface Kind {
  readonly name: string
  readonly method: string
  /** As the service declares it. */
  readonly route: string
  /** How often, compared with the others. */
  readonly weight: number
  readonly plan: (random: Random, words: Words) => Plan
  /** Besides 200. */
  readonly statuses?: readonly number[]
  /** It works long, or streams: its end is measured when clients leave in the middle of it. */
  readonly isSlow?: boolean
}

const states = ['completed', 'failed', 'running', 'cancelled', 'timeout']

const NDJSON = { headers: { accept: 'application/x-ndjson' } }
const MISSING = { statuses: [404] }

export const kinds: readonly Kind[] = [
  get('the newest jobs', '/api/jobs', 20, (random, words) => `/api/jobs?${filter(random, words)}`),
  get('any page', '/api/jobs', 4, (random, words) => `/api/jobs?${filter(random, words)}&page=${random.between(1, 200)}&limit=${random.between(1, 200)}&with-metadata=true`),
  get('a page by its cursor', '/api/jobs', 4, (_, { cursor }) => `/api/jobs?cursor=${encodeURIComponent(cursor)}`),
  get('sorted by a metric', '/api/jobs', 2, (random, words) => `/api/jobs?cluster=${pick(words.clusters, random)}&sort=-footprint.cpu_load_avg`, { isSlow: true }),
  get('a stream', '/api/jobs', 4, (random, words) => `/api/jobs?user=${pick(words.users, random)}`, NDJSON),
  get('a stream of all', '/api/jobs', 1, () => '/api/jobs', { ...NDJSON, isSlow: true }),
  get('jobs, as users', '/userapi/jobs', 2, (random, words) => `/userapi/jobs?${filter(random, words)}`),
  get('a job', '/api/jobs/:id', 30, (random, words) => `/api/jobs/${anyId(random, words)}`, MISSING),
  get('no job', '/api/jobs/:id', 1, (_, { lastId }) => `/api/jobs/${lastId + 10_000_000}`, MISSING),
  get('jobs beside a job', '/api/jobs/:id/concurrent', 3, (random, words) => `/api/jobs/${anyId(random, words)}/concurrent`, MISSING),
  get('a count', '/api/jobs/count', 10, (random, words) => `/api/jobs/count?${filter(random, words)}`),
  get('statistics', '/api/jobs/stats', 6, (random, words) => `/api/jobs/stats?${filter(random, words)}`),
  get('statistics of users', '/api/jobs/stats', 3, (random, words) => `/api/jobs/stats?groupBy=user&limit=25&${filter(random, words)}`, { isSlow: true }),
  get('statistics of all', '/api/jobs/stats', 1, random => `/api/jobs/stats?groupBy=${pick(['user', 'project', 'cluster', 'subcluster'], random)}`, { isSlow: true }),
  get('histograms', '/api/jobs/histograms', 2, (random, words) => `/api/jobs/histograms?durationBins=10m&histogram=cpu_load&${filter(random, words)}`, { isSlow: true }),
  get('used nodes', '/api/jobs/used_nodes', 2, (_, { newest }) => `/api/jobs/used_nodes?ts=${newest}`),
  get('allocated nodes', '/api/allocated_nodes', 2, (random, words) => `/api/allocated_nodes?cluster=${pick(words.clusters, random)}`),
  get('partitions', '/api/partitions', 2, (random, words) => `/api/partitions?cluster=${pick(words.clusters, random)}`),
  get('tags', '/api/tags', 2, () => '/api/tags'),
  get('OpenAPI', '/docs/json', 1, () => '/docs/json'),
  ...['POST', 'PUT'].map(method => change('start a job', method, '/api/jobs/start_job', 3, (random, words) => ({ path: '/api/jobs/start_job', body: startOf(random, words) }), [201, 422])),
  ...['POST', 'PUT'].map(method => change('stop a job', method, '/api/jobs/stop_job', 2,
    (random, words) => ({ path: '/api/jobs/stop_job', body: { ...madeJob(random), stopTime: words.newest + 7200 } }), [404, 422])),
  change('edit meta data', 'PATCH', '/api/jobs/edit_meta/:id', 2, (random, words) => ({ path: `/api/jobs/edit_meta/${anyId(random, words)}`, body: noteOf(random) }), [404]),
  change('edit meta data by job id', 'PATCH', '/api/jobs/edit_meta', 1, random => ({ path: '/api/jobs/edit_meta', body: { ...madeJob(random), payload: noteOf(random) } }), [404]),
  ...['POST', 'PATCH'].map(method => change('tag a job', method, '/api/jobs/tag_job/:id', 1, (random, words) => ({ path: `/api/jobs/tag_job/${anyId(random, words)}`, body: [tagOf(random)] }), [404])),
  change('untag a job', 'DELETE', '/api/jobs/tag_job/:id', 1, (random, words) => ({ path: `/api/jobs/tag_job/${anyId(random, words)}`, body: [tagOf(random)] }), [404]),
  change('delete a tag', 'DELETE', '/api/tags', 1, random => ({ path: '/api/tags', body: [tagOf(random)] }), [404]),
  change('delete a job', 'DELETE', '/api/jobs/delete_job/:id', 1, (random, words) => ({ path: `/api/jobs/delete_job/${anyId(random, words)}` }), [404]),
  change('delete a job by job id', 'DELETE', '/api/jobs/delete_job', 1, random => ({ path: '/api/jobs/delete_job', body: madeJob(random) }), [404]),
  change('delete the oldest', 'DELETE', '/api/jobs/delete_job_before/:ts', 1, (_, { newest }) => ({ path: `/api/jobs/delete_job_before/${newest}?limit=3&omit-tagged=user` }), [])
]

type More = Pick<Kind, 'statuses' | 'isSlow'> & Pick<Plan, 'headers'>

function get (name: string, route: string, weight: number, path: (random: Random, words: Words) => string, { headers, ...more }: More = {}): Kind {
  return { name, method: 'GET', route, weight, plan: (random, words) => ({ path: path(random, words), ...headers === undefined ? {} : { headers } }), ...more }
}

function change (name: string, method: string, route: string, weight: number, plan: Kind['plan'], statuses: readonly number[]): Kind {
  return { name: `${name} (${method})`, method, route, weight, plan, statuses }
}

function anyId (random: Random, { firstId, lastId }: Words): number {
  return random.between(firstId, lastId)
}

// --- what is written -----------------------------------------------------------------------------------------------------------

/** So few that they meet: a job is started again, stopped twice, tagged while it is deleted. */
const MADE_JOBS = 500
const MADE_TAGS = 20

function madeJob (random: Random): { jobId: number } {
  return { jobId: 1_000_000_000 + random.between(1, MADE_JOBS) }
}

function startOf (random: Random, { users, projects, clusters, newest }: Words): object {
  const hostname = `soak${random.between(1, 50)}`
  return {
    ...madeJob(random), user: pick(users, random), project: pick(projects, random), cluster: pick(clusters, random), subCluster: 'main', numNodes: 1, numHwthreads: 4,
    startTime: newest + random.between(1, 3600), walltime: 3600, resources: [{ hostname }], metaData: { jobName: 'soak' }
  }
}

function noteOf (random: Random): { key: string, value: string } {
  return { key: 'note', value: String(random.between(1, 1000)) }
}

function tagOf (random: Random): object {
  return { type: 'soak', name: `tag${random.between(1, MADE_TAGS)}`, scope: 'global' }
}

// --- what is asked for -----------------------------------------------------------------------------------------------------------

/** None, one or two conditions, as users have them. */
function filter (random: Random, { users, projects, clusters, newest }: Words): string {
  const since = newest - random.between(1, 60) * 86_400
  const conditions = {
    none: '',
    user: `user=${encodeURIComponent(pick(users, random))}`,
    project: `project=${encodeURIComponent(pick(projects, random))}`,
    cluster: `cluster=${encodeURIComponent(pick(clusters, random))}`,
    states: `state=${pick(states, random)}&state=completed`,
    recent: `start-time=${since}-`,
    'cluster, recent': `cluster=${encodeURIComponent(pick(clusters, random))}&start-time=${since}-`,
    nodes: `numNodes=${random.between(1, 4)}-`,
    'user, states': `user=${encodeURIComponent(pick(users, random))}&state=failed&state=timeout`
  }
  return conditions[random.weighted({ none: 2, user: 4, project: 3, cluster: 3, states: 2, recent: 2, 'cluster, recent': 3, nodes: 1, 'user, states': 2 })]
}

export function pick<T> (list: readonly T[], random: Random): T {
  const item = list[random.between(0, list.length - 1)]
  if (item === undefined) throw new Error('there is nothing to choose from')
  return item
}

/** The service's; the group vault, and what the pages of its documentation are made of, are not. */
const isOurs = /^\w+ \/(?:user)?api\/(?!v1\/|group\/)/

/** Routes that no entry sends anything to, and entries that no route is there for. */
export function judgeRoutes (routes: ReadonlyArray<{ readonly method: string, readonly url: string }>): string[] {
  const sent = new Set(kinds.map(({ method, route }) => `${method} ${route}`))
  const there = new Set(routes.map(({ method, url }) => `${method} ${url}`))
  return [
    ...[...there].filter(route => isOurs.test(route) && !sent.has(route)).map(route => `${route} gets no request: it needs a line in bench/jobs-soak/requests.ts`),
    ...[...sent].filter(route => !there.has(route)).map(route => `there is no route ${route}, which bench/jobs-soak/requests.ts has`)
  ]
}
