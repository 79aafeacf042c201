/**
 * Jobs made up by rule: each row of `job`, one after the other, in order of start time and of id.
 *
 * What is kept true: the same options give the same rows, wherever they go; nothing here knows a database. What the rules are modelled on: a real database of 544 jobs, and what
 * its owners say about 20 million (users and projects by Zipf, bursts of one user within a second, few that run, most on one node).
 */
import type { Value } from '../../../plugins/db/types.ts'
import { Starts } from './clock.ts'
import { clusters, clusterShares, THREADS_PER_ACCELERATOR, type Cluster } from './clusters.ts'
import { makeEnergyFootprint, makeFootprint, makeResources } from './json.ts'
import { makeMetaData, type MetaSize } from './meta-data.ts'
import { Choice, choose, createRandom, normal, shuffled, zipf, type Random } from './random.ts'

export interface RowOptions {
  readonly rows: number
  /** An integer. */
  readonly seed: number
  readonly meta: MetaSize
  /** One row in 10,000 has a NULL or invalid JSON where none should be. */
  readonly badRows: boolean
  /** Unix seconds: what lasts beyond is running. */
  readonly until: number
}

/** The columns in which `Jobs` gives its values. */
export const columns = [
  'id', 'job_id', 'cluster', 'subcluster', 'submit_time', 'start_time', 'hpc_user', 'project', 'cluster_partition', 'array_job_id', 'duration', 'walltime', 'job_state', 'meta_data',
  'resources', 'num_nodes', 'num_hwthreads', 'num_acc', 'smt', 'shared', 'monitoring_status', 'energy', 'energy_footprint', 'footprint'
] as const

const USERS = 3000
const PROJECTS = 600
const PER_PROJECT = USERS / PROJECTS
const BURSTS = 0.3
const FIRST_JOB_ID = 100_000
const BAD_EVERY = 10_000

const states = choose({ completed: 0.815, failed: 0.085, cancelled: 0.055, timeout: 0.035, out_of_memory: 0.006, node_fail: 0.002, preempted: 0.002 })
const walltimes = new Choice(
  [86_400, 86_340, 3600, 28_800, 14_400, 7200, 43_200, 82_800, 72_000, 21_600, 1800, 600],
  [0.38, 0.18, 0.09, 0.05, 0.08, 0.06, 0.06, 0.02, 0.02, 0.03, 0.02, 0.01]
)

export interface Person { readonly username: string, readonly name: string, readonly project: string }

/** All users; each has one project. */
export const people: readonly Person[] = Array.from({ length: USERS }, (_, i) => {
  const number = Math.floor(i / PER_PROJECT)
  const project = `${'abcdfghikmn'.charAt(number % 11)}${100 + number}${'abdegkmp'.charAt(number % 8)}${'aeiou'.charAt(number % 5)}`
  return { username: `${project}${10 + i % PER_PROJECT}`, name: `Person ${i + 1}`, project }
})

/** A cluster, with what only this run knows of it. */
interface Site { readonly cluster: Cluster, readonly people: Choice<Person>, jobId: number }

/** Rows, in the order of `columns`; JSON as text. */
export class Jobs {
  readonly #options: RowOptions
  readonly #random: Random
  readonly #starts: Starts
  readonly #sites: Choice<Site>
  #done = 0
  // of the row before
  #site: Site | undefined
  #person: Person = people[0] as Person
  #start = 0

  constructor (options: RowOptions) {
    const random = createRandom(options.seed)
    const ranks = zipf(USERS, 1.07)
    this.#options = options
    this.#random = random
    this.#starts = new Starts(options.rows, options.until)
    this.#sites = new Choice(clusters.map(cluster => ({ cluster, people: new Choice(shuffled(people, random), ranks), jobId: FIRST_JOB_ID })), clusterShares)
  }

  /** How many rows were given. */
  get done (): number {
    return this.#done
  }

  /** At most `count` more; none at the end. */
  take (count: number): Value[][] {
    const rows: Value[][] = []
    const last = Math.min(this.#done + count, this.#options.rows)
    while (this.#done < last) rows.push(this.#next())
    return rows
  }

  #next (): Value[] {
    const random = this.#random
    const start = this.#starts.startOf(this.#done++, random())
    if (this.#site === undefined || random() >= BURSTS) {
      this.#site = this.#sites.take(random)
      this.#person = this.#site.people.take(random)
      this.#start = start
    }
    return this.#make(this.#done, this.#site, this.#person, this.#start)
  }

  #make (id: number, site: Site, { username, project }: Person, start: number): Value[] {
    const random = this.#random
    const { cluster } = site
    const { meta, until, badRows } = this.#options
    const jobId = site.jobId++
    const subcluster = cluster.subclusters.take(random)
    const partition = cluster.partitions?.take(random) ?? subcluster
    const size = sizeOf(cluster, random)
    const { walltime, duration, state } = courseOf(start, until, random)
    const energy = energyOf(cluster, size, duration, random)
    const row = [
      id, jobId, cluster.name, subcluster,
      random() < 0.5 ? 0 : start - Math.floor(random() * 600), start, username, project, partition,
      random() < 0.08 ? Math.max(FIRST_JOB_ID, jobId - 1 - Math.floor(random() * 20)) : 0,
      duration, walltime, state,
      makeMetaData(meta, { jobId, user: username, project, partition, nodes: size.nodes, threads: size.threads }, random),
      makeResources(cluster, size.nodes, size.accelerators, random),
      size.nodes, size.threads, size.accelerators, 0, sharedOf(cluster, size, random), state === 'running' ? 1 : 3,
      energy, makeEnergyFootprint(cluster, energy), makeFootprint(cluster, random)
    ]
    return badRows && id % BAD_EVERY === 0 ? spoiled(row, id / BAD_EVERY) : row
  }
}

interface Size { readonly nodes: number, readonly threads: number, readonly accelerators: number }

function sizeOf ({ kind, threads, threadsPerNode, accelerators }: Cluster, random: Random): Size {
  if (kind === 'shared') return { nodes: 1, threads: threads.take(random), accelerators: 0 }
  if (kind === 'gpu') {
    const count = accelerators.take(random)
    return { nodes: 1, threads: count * THREADS_PER_ACCELERATOR, accelerators: count }
  }
  const nodes = random() < 0.93 ? 1 : manyNodes(random)
  return { nodes, threads: nodes * threadsPerNode, accelerators: 0 }
}

/** 2, 4, 8, … up to 256, each half as often as the one before. */
function manyNodes (random: Random): number {
  let nodes = 2
  while (nodes < 256 && random() < 0.5) nodes *= 2
  return nodes
}

interface Course { readonly walltime: number, readonly duration: number, readonly state: string }

function courseOf (start: number, until: number, random: Random): Course {
  const walltime = walltimes.take(random)
  const state = states.take(random)
  const wanted = Math.exp(7.8 + 2.4 * normal(random))
  const duration = state === 'timeout' ? walltime + Math.floor(random() * 41) : Math.max(1, Math.min(Math.floor(wanted), walltime))
  return start + duration > until ? { walltime, duration: until - start, state: 'running' } : { walltime, duration, state }
}

function sharedOf ({ kind, threadsPerNode, name }: Cluster, { threads }: Size, random: Random): string {
  if (kind === 'exclusive' || threads === threadsPerNode) return 'none'
  return name === 'woody' && random() < 0.2 ? 'single_user' : 'multi_user'
}

/** kWh, with three decimals: none of some, 0.3 to 0.8 a node-hour of most, and far more of a few. */
function energyOf ({ threadsPerNode }: Cluster, { threads }: Size, duration: number, random: Random): number {
  const luck = random()
  if (luck < 0.05) return 0
  const hours = duration / 3600 * threads / threadsPerNode
  return Math.round(hours * (0.3 + 0.5 * random()) * (luck > 0.99 ? 1 + 49 * random() : 1) * 1000) / 1000
}

/** What is wrong with rows of a real database, in turn. */
const flaws: ReadonlyArray<readonly [column: typeof columns[number], value: Value]> = [
  ['cluster_partition', null], ['array_job_id', null], ['num_hwthreads', null], ['num_acc', null], ['footprint', null], ['footprint', '{"cpu_load_avg":'], ['footprint', '{"cpu_load_avg":"high"}'],
  ['resources', 'not json'], ['meta_data', 'not json'], ['meta_data', null], ['energy_footprint', null]
]

function spoiled (row: Value[], turn: number): Value[] {
  const [column, value] = flaws[turn % flaws.length] as typeof flaws[number]
  return row.with(columns.indexOf(column), value)
}
