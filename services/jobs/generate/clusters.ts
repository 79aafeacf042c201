/**
 * The clusters that jobs are made up for. Their names, shares and sizes are modelled on those of a real computing centre; what runs on them is not.
 *
 * Three kinds: 'exclusive' gives whole nodes, 'shared' some threads of one node, 'gpu' accelerators with their threads.
 */
import { Choice, choose } from './random.ts'

export interface Cluster {
  readonly name: string
  readonly kind: 'exclusive' | 'shared' | 'gpu'
  readonly subclusters: Choice<string>
  /** Undefined: named as the subclusters. */
  readonly partitions: Choice<string> | undefined
  /** Hostnames are this letter and a number. */
  readonly letter: string
  readonly nodes: number
  readonly threadsPerNode: number
  /** 'shared': threads of a job. */
  readonly threads: Choice<number>
  /** 'gpu': accelerators of a job, and of a node. */
  readonly accelerators: Choice<number>
  readonly acceleratorsPerNode: number
  /** The largest value of each metric that a histogram shows. */
  readonly peaks: Peaks
}

export interface Peaks { readonly cpuLoad: number, readonly memBw: number, readonly memUsed: number }

/** A GPU comes with so many threads. */
export const THREADS_PER_ACCELERATOR = 16

const one = new Choice([1], [1])
const common = { partitions: undefined, threads: one, accelerators: one, acceleratorsPerNode: 0 } as const

const woody: Cluster = {
  ...common,
  name: 'woody',
  kind: 'shared',
  subclusters: choose({ icelake: 0.7, cascadelake: 0.2, skylake: 0.1 }),
  partitions: choose({ work: 0.9, devel: 0.1 }),
  letter: 'w',
  nodes: 246,
  threadsPerNode: 32,
  threads: new Choice([1, 4, 8, 16, 32], [0.35, 0.35, 0.1, 0.05, 0.15]),
  peaks: { cpuLoad: 32, memBw: 150, memUsed: 256 }
}

const meggie: Cluster = {
  ...common,
  name: 'meggie',
  kind: 'exclusive',
  subclusters: choose({ main: 1 }),
  partitions: choose({ work: 0.85, devel: 0.1, big: 0.05 }),
  letter: 'm',
  nodes: 728,
  threadsPerNode: 20,
  peaks: { cpuLoad: 20, memBw: 120, memUsed: 64 }
}

const fritz: Cluster = {
  ...common,
  name: 'fritz',
  kind: 'exclusive',
  subclusters: choose({ main: 0.7, spr1tb: 0.2, spr2tb: 0.1 }),
  partitions: choose({ singlenode: 0.7, multinode: 0.2, spr1tb: 0.07, spr2tb: 0.03 }),
  letter: 'f',
  nodes: 1058,
  threadsPerNode: 72,
  peaks: { cpuLoad: 72, memBw: 350, memUsed: 256 }
}

const alex: Cluster = {
  ...common,
  name: 'alex',
  kind: 'gpu',
  subclusters: choose({ a40: 0.71, a100: 0.22, a100m80: 0.07 }),
  letter: 'a',
  nodes: 82,
  threadsPerNode: 128,
  accelerators: new Choice([1, 8, 2, 4], [0.84, 0.1, 0.04, 0.02]),
  acceleratorsPerNode: 8,
  peaks: { cpuLoad: 128, memBw: 350, memUsed: 512 }
}

const tinygpu: Cluster = {
  ...common,
  name: 'tinygpu',
  kind: 'gpu',
  subclusters: choose({ rtx3080: 0.7, v100: 0.2, a100: 0.1 }),
  letter: 't',
  nodes: 35,
  threadsPerNode: 64,
  accelerators: new Choice([1, 4, 2], [0.84, 0.1, 0.06]),
  acceleratorsPerNode: 4,
  peaks: { cpuLoad: 64, memBw: 200, memUsed: 384 }
}

const tinyfat: Cluster = {
  ...common,
  name: 'tinyfat',
  kind: 'shared',
  subclusters: choose({ rome: 0.7, broadwell: 0.3 }),
  partitions: choose({ work: 0.8, long: 0.2 }),
  letter: 'l',
  nodes: 47,
  threadsPerNode: 128,
  threads: new Choice([16, 32, 64, 128], [0.4, 0.3, 0.2, 0.1]),
  peaks: { cpuLoad: 128, memBw: 250, memUsed: 512 }
}

/** In the order of their shares. */
export const clusters: readonly Cluster[] = [woody, meggie, fritz, alex, tinygpu, tinyfat]

/** Of all jobs; by its place in `clusters`. */
export const clusterShares: readonly number[] = [0.55, 0.14, 0.12, 0.11, 0.06, 0.02]
