/**
 * 4. Memory: what a process holds while statements run that want a lot of it, and what it holds afterwards.
 *
 * How it measures: a process of its own goes through the phases of memory-phases.ts, and this one reads its RssAnon (memory that is not backed by a file, from
 * /proc, so Linux only) every 5 ms. All figures are of the whole process: Node.js, its threads, and everything else. 'Idle' is what it holds after it has
 * answered for a while on all its readers. The same on better-sqlite3 in as many worker threads, with the same PRAGMAs; there, nothing can end a statement, so
 * each goes on to its end, and there are fewer of them.
 */
import { formatCount } from '../../scripts/terminal.ts'
import { Child } from '../measure/child.ts'
import { boundFor, type Figure, type Measurement, type Outcome, type Settings } from '../measure/measurement.ts'
import { drawMemory } from './memory-drawing.ts'
import { rssAnonBytes, type Sample } from './memory-samples.ts'
import type { HogResult, Job, Phase, Told } from './memory-phases.ts'

/** In MiB. Six connections with 16 MB each fit into the first; some twelve million rows by an OR over two indexes do not fit into the second. */
const SOFT = 256
const HARD = 384
const READERS = 4
const SLACK = 64
const SAMPLE_MS = 5

const sizes = {
  full: { timedOut: 30, timeoutMs: 500, warmMs: 2000, restMs: 2000, atLeast: 8_000_000 },
  short: { timedOut: 12, timeoutMs: 200, warmMs: 500, restMs: 2000, atLeast: 4_000_000 },
  tiny: { timedOut: 3, timeoutMs: 20, warmMs: 50, restMs: 50, atLeast: 100_000 }
}

interface Run {
  readonly samples: readonly Sample[]
  /** RssAnon when the phase began, and its largest while it went on; in bytes. */
  readonly at: Partial<Record<Phase, number>>
  readonly peak: Partial<Record<Phase, number>>
  readonly hogs: readonly HogResult[]
  readonly problems: readonly string[]
  readonly status: object | undefined
}

export const memory: Measurement = { name: 'memory', title: 'Memory during and after statements that want a lot of it', measure }

async function measure (settings: Settings): Promise<Outcome> {
  if (process.platform !== 'linux') return { figures: [], problems: [], notes: ['not measured: needs /proc, so Linux'] }
  const { path, rows, effort } = settings
  const job: Job = { who: 'db', path, rows, readers: READERS, softMebibytes: SOFT, hardMebibytes: HARD, ...sizes[effort] }
  const tandem = await run(job)
  const raw = await run({ ...job, who: 'better-sqlite3', timedOut: Math.min(job.timedOut, 6) })
  return {
    figures: [...figuresOf('db', tandem, settings), ...figuresOf('better-sqlite3', raw, { ...settings, effort: 'tiny' })],
    problems: [...tandem.problems, ...raw.problems.map(problem => `better-sqlite3: ${problem}`)],
    notes: [
      `MB of the whole process, the idle part included; SQLITE_SOFT_HEAP_LIMIT ${SOFT} MiB, SQLITE_HARD_HEAP_LIMIT ${HARD} MiB, ${READERS} readers`,
      ...tandem.hogs.map(hog => describeHog('db', hog)),
      ...raw.hogs.map(hog => describeHog('better-sqlite3', hog)),
      ...tandem.status === undefined ? [] : [`db.status().sqlite: ${JSON.stringify(tandem.status)}`]
    ],
    svg: drawMemory([{ title: 'fastify-tandem', samples: tandem.samples, limits: [SOFT * 2 ** 20, HARD * 2 ** 20] }, { title: `better-sqlite3, ${READERS} worker threads`, samples: raw.samples }])
  }
}

function describeHog (who: string, { name, ms, ending, wait }: HogResult): string {
  return `${who}: ${name}: ${ending} after ${formatCount(Math.round(ms))} ms; the slowest point read beside it ${wait.toFixed(0)} ms`
}

function figuresOf (who: string, { at, peak, hogs }: Run, settings: Settings): Figure[] {
  const idle = megabytes(at.timedOut)
  const tooLarge = hogs.filter(hog => !hog.mayBeAnswered)
  const refused = tooLarge.filter(hog => hog.isRefused)
  return [
    { name: `${who}: opened`, value: megabytes(at.opened), unit: 'MB' },
    { name: `${who}: idle, all readers used`, value: idle, unit: 'MB' },
    { name: `${who}: highest during scans, sorts, GROUP BYs`, value: megabytes(peak.timedOut), unit: 'MB', bound: boundFor(settings, { atMost: mebibytes(SOFT + SLACK) }, { atMost: mebibytes(SOFT + SLACK) }) },
    { name: `${who}: … and after them, above idle`, value: megabytes(at.hogs) - idle, unit: 'MB', bound: boundFor(settings, { atMost: 20 }, { atMost: 40 }) },
    { name: `${who}: highest during statements beyond the limit`, value: megabytes(peak.hogs), unit: 'MB', bound: boundFor(settings, { atMost: mebibytes(HARD + SLACK) }, { atMost: mebibytes(HARD + SLACK) }) },
    { name: `${who}: … and after those, above idle`, value: megabytes(at.done) - idle, unit: 'MB' },
    { name: `${who}: statements that were refused for their size`, value: refused.length, unit: `of ${tooLarge.length}`, bound: boundFor(settings, { atLeast: tooLarge.length }, { atLeast: tooLarge.length }) }
  ]
}

function megabytes (bytes = NaN): number {
  return bytes / 1e6
}

function mebibytes (count: number): number {
  return count * 2 ** 20 / 1e6
}

// --- one process -----------------------------------------------------------------------------------------------------------------

async function run (job: Job): Promise<Run> {
  const child = new Child<Told>(new URL('memory-phases.ts', import.meta.url), job)
  const samples: Sample[] = []
  const at: Partial<Record<Phase, number>> = {}
  const peak: Partial<Record<Phase, number>> = {}
  const hogs: HogResult[] = []
  const problems: string[] = []
  let status: object | undefined
  let phase: Phase = 'started'
  const start = performance.now()
  const sample = (): number => {
    const bytes = rssAnonBytes(child.process.pid ?? 0)
    if (bytes === 0) return 0
    samples.push({ ms: performance.now() - start, bytes, phase })
    peak[phase] = Math.max(peak[phase] ?? 0, bytes)
    return bytes
  }
  const timer = setInterval(sample, SAMPLE_MS)
  child.onTold(told => {
    if ('phase' in told) {
      phase = told.phase
      at[phase] = sample()
    }
    if ('hog' in told) hogs.push(told.hog)
    if ('problem' in told) problems.push(told.problem)
    if ('status' in told) status = told.status
  })
  const { code, signal } = await child.ended
  clearInterval(timer)
  if (code !== 0) problems.push(`the process ended with ${code ?? signal} in phase "${phase}"`)
  return { samples, at, peak, hogs, problems, status }
}
