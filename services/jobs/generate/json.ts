/** The JSON columns of a job that was made up. Written as text and not as objects, which takes a tenth of the time. */
import { THREADS_PER_ACCELERATOR, type Cluster } from './clusters.ts'
import type { Random } from './random.ts'

const FLOPS_UP_TO = Math.log(4e6)
const ACC_MEM = 40_000
/** '' for 0, '.001' to '.999'. */
const thousandths = Array.from({ length: 1000 }, (_, i) => i === 0 ? '' : `.${String(i).padStart(3, '0').replace(/0+$/, '')}`)

/** A number from 0 up with three decimals, in a tenth of the time that its own text would take. */
function decimal (number: number): string {
  const all = Math.round(number * 1000)
  const whole = Math.floor(all / 1000)
  return `${whole}${thousandths[all - whole * 1000]}`
}

/** One job in 100 exceeds the peaks, which histograms leave out, and one in 1000 lacks a metric. */
export function makeFootprint ({ kind, peaks }: Cluster, random: Random): string {
  const luck = random()
  const share = luck < 0.01 ? 1 + random() : random()
  const accelerators = kind === 'gpu' ? `"acc_mem_used_avg":${decimal(ACC_MEM * random())},"acc_utilization_avg":${decimal(Math.min(100, 100 * share))},` : ''
  const memUsed = luck > 0.999 ? '' : `,"mem_used_avg":${decimal(peaks.memUsed * random())}`
  return `{${accelerators}"cpu_load_avg":${decimal(peaks.cpuLoad * share)},"flops_any_avg":${decimal(Math.exp(FLOPS_UP_TO * random()))},"mem_bw_avg":${decimal(peaks.memBw * share)}${memUsed}}`
}

/** `energy`: kWh. */
export function makeEnergyFootprint ({ kind }: Cluster, energy: number): string {
  if (kind === 'gpu') return `{"acc_power":${decimal(energy * 0.7)},"core_power":${decimal(energy * 0.1)},"cpu_power":${decimal(energy * 0.2)}}`
  return `{"cpu_power":${decimal(energy * 0.8)},"mem_power":${decimal(energy * 0.2)}}`
}

// --- resources -----------------------------------------------------------------------------------------------------------------

const MOST_HOSTS = 10_000
const digits = Array.from({ length: MOST_HOSTS }, (_, i) => String(i).padStart(4, '0'))

/** `nodes` hosts that follow each other; of each all, or, with accelerators, `accelerators` of them and their threads. */
export function makeResources ({ kind, letter, nodes: all, acceleratorsPerNode }: Cluster, nodes: number, accelerators: number, random: Random): string {
  const first = 1 + Math.floor(random() * (all - nodes + 1))
  if (kind === 'gpu') {
    const slot = Math.floor(random() * (acceleratorsPerNode / accelerators)) * accelerators
    return `[{"hostname":"${letter}${digits[first]}",${acceleratorsOf(slot, accelerators)}}]`
  }
  let hosts = `{"hostname":"${letter}${digits[first]}"}`
  for (let i = 1; i < nodes; i++) hosts += `,{"hostname":"${letter}${digits[first + i]}"}`
  return `[${hosts}]`
}

const MOST_ACCELERATORS = 8
const addresses = ['01', '25', '41', '61', '81', 'a1', 'c1', 'e1']
const bySlot = Array.from({ length: MOST_ACCELERATORS }, (_, slot) => Array.from({ length: MOST_ACCELERATORS + 1 }, (_, count) => describeAccelerators(slot, count)))

function acceleratorsOf (slot: number, count: number): string {
  return bySlot[slot]?.[count] ?? ''
}

function describeAccelerators (slot: number, count: number): string {
  const threads = Array.from({ length: count * THREADS_PER_ACCELERATOR }, (_, i) => slot * THREADS_PER_ACCELERATOR + i)
  return `"hwthreads":[${threads.join(',')}],"accelerators":[${addresses.slice(slot, slot + count).map(address => `"00000000:${address}:00.0"`).join(',')}]`
}
