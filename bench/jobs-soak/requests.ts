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

export const kinds: readonly Kind[] = [
  get('the newest jobs', '/api/jobs', 20, (random, words) => `/api/jobs?${filter(random, words)}`),
  get('any page', '/api/jobs', 4, (random, words) => `/api/jobs?${filter(random, words)}&page=${random.between(1, 200)}&limit=${random.between(1, 200)}`),
  get('sorted by a metric', '/api/jobs', 2, (random, words) => `/api/jobs?cluster=${pick(words.clusters, random)}&sort=-footprint.cpu_load_avg`, { isSlow: true }),
  get('a job', '/api/jobs/:id', 30, (random, words) => `/api/jobs/${random.between(words.firstId, words.lastId)}`, { statuses: [404] }),
  get('no job', '/api/jobs/:id', 1, (_, { lastId }) => `/api/jobs/${lastId + 1_000_000}`, { statuses: [404] }),
  get('a count', '/api/jobs/count', 10, (random, words) => `/api/jobs/count?${filter(random, words)}`),
  get('statistics', '/api/jobs/stats', 6, (random, words) => `/api/jobs/stats?${filter(random, words)}`),
  get('statistics of users', '/api/jobs/stats', 3, (random, words) => `/api/jobs/stats?groupBy=user&limit=25&${filter(random, words)}`, { isSlow: true }),
  get('statistics of all', '/api/jobs/stats', 1, random => `/api/jobs/stats?groupBy=${pick(['user', 'project', 'cluster', 'subcluster'], random)}`, { isSlow: true })
]

type More = Pick<Kind, 'statuses' | 'isSlow'> & Pick<Plan, 'headers'>

function get (name: string, route: string, weight: number, path: (random: Random, words: Words) => string, { headers, ...more }: More = {}): Kind {
  return { name, method: 'GET', route, weight, plan: (random, words) => ({ path: path(random, words), ...headers === undefined ? {} : { headers } }), ...more }
}

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

/** Routes that no entry sends anything to, and entries that no route is there for. */
export function judgeRoutes (routes: ReadonlyArray<{ readonly method: string, readonly url: string }>): string[] {
  const sent = new Set(kinds.map(({ method, route }) => `${method} ${route}`))
  const there = new Set(routes.map(({ method, url }) => `${method} ${url}`))
  return [
    ...[...there].filter(route => !sent.has(route)).map(route => `${route} gets no request: it needs a line in bench/jobs-soak/requests.ts`),
    ...[...sent].filter(route => !there.has(route)).map(route => `there is no route ${route}, which bench/jobs-soak/requests.ts has`)
  ]
}
