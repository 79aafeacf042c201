/** What came out of the runs: the table, the figures as JSON, and the picture. */
import { formatCount, formatTable } from '../../scripts/terminal.ts'
import { drawMemoryLines, type LineMark, type MemoryLine } from '../sqlite/memory-drawing.ts'
import { incidentSql } from './incident.ts'
import { LEFT_BYTES, type Run, type Subject } from './watch.ts'

export interface Facts {
  readonly rows: number
  readonly fileBytes: number
  readonly indices: number
  readonly timeoutMs: number
  readonly node: string
  readonly sqlite: string
  readonly processors: number
  readonly memoryBytes: number
}

export const subjects: readonly Subject[] = [
  { name: 'better-sqlite3, the original settings', process: 'raw.ts', asks: 'the incident', givesUp: true },
  { name: 'the service, the same plan forced', process: 'service.ts', asks: 'the incident', givesUp: true },
  { name: 'the service, the same plan forced, waited for', process: 'service.ts', asks: 'the incident', givesUp: false },
  { name: 'the service, its own plan', process: 'service.ts', asks: 'the list', givesUp: true }
]

const colours = ['#b3563a', '#2a7f62', '#c9952b', '#1f6fb2']

/** Three of the runs have to find the same job, by its start time: the statement of the incident has no order among those that started in the same second. */
export function problemsOf (runs: readonly Run[]): string[] {
  const times = new Set(runs.map(({ end }) => end.startTime).filter(time => time !== undefined))
  const silent = runs.filter(({ subject, answer }) => !subject.givesUp && !answer.startsWith('200'))
  return [
    ...times.size > 1 ? [`the answers differ: jobs that started at ${[...times].join(', ')}`] : [],
    ...silent.map(({ subject, answer }) => `${subject.name}: was answered with ${answer}`)
  ]
}

export function formatRuns (runs: readonly Run[], { timeoutMs }: Facts): string {
  const head = ['', 'client', 'statement ended', 'before', 'highest', 'taken', 'given back after', 'still held', 'a row meanwhile']
  const table = runs.map(run => {
    const { subject, answer, answerMs, end, endMs, beforeBytes, peakBytes, releasedMs, longestPointMs } = run
    return [
      subject.name,
      answer === 'gave up' ? `gave up at ${seconds(timeoutMs)}` : `${seconds(answerMs)}`,
      `${seconds(endMs)}, ${end.ending}`,
      megabytes(beforeBytes), megabytes(peakBytes), megabytes(taken(run)),
      releasedMs === undefined ? 'never' : seconds(releasedMs - endMs),
      megabytes(kept(run)),
      `${longestPointMs.toFixed(0)} ms`
    ]
  })
  return `${formatTable([head, ...table])}\n\n${ratiosOf(runs).join('\n')}`
}

/** What is below 1 MB counts as that. */
function ratiosOf ([raw, ...others]: readonly Run[]): string[] {
  if (raw === undefined) return []
  const times = (a: number, b: number, least: number): string => `${(a / Math.max(b, least)).toFixed(1)} ×`
  return [
    'better-sqlite3 with the original settings, as a multiple of',
    ...others.map(run => `  ${run.subject.name}: ${times(taken(raw), taken(run), 1e6)} of the memory taken, ${times(kept(raw), kept(run), 1e6)} of what is still held, ` +
      `${times(raw.longestPointMs, run.longestPointMs, 1)} of the longest wait for a row`)
  ]
}

function taken ({ peakBytes, beforeBytes }: Run): number {
  return peakBytes - beforeBytes
}

function kept ({ afterBytes, beforeBytes }: Run): number {
  return Math.max(0, afterBytes - beforeBytes)
}

export function toJson (runs: readonly Run[], facts: Facts): string {
  const tidy = runs.map(run => ({
    ...run,
    takenBytes: taken(run),
    keptBytes: kept(run),
    samples: run.samples.map(({ ms, bytes, anonBytes }) => [Math.round(ms), bytes, anonBytes])
  }))
  const text = JSON.stringify({ facts: { ...facts, sql: incidentSql, samples: ['ms since the query was sent', 'RSS in bytes', 'RssAnon in bytes'] }, runs: tidy }, null, 1)
  return `${text.replace(/\[\s+(-?\d+),\s+(\d+),\s+(\d+)\s+\]/g, '[$1, $2, $3]')}\n`
}

export function draw (runs: readonly Run[], facts: Facts, command: string): string {
  const lines = runs.map(toLine)
  const isGivenUp = runs.some(({ answer }) => answer === 'gave up')
  return drawMemoryLines({
    title: 'Memory of the process (RSS) while a query with a bad plan runs, and after its client has given up',
    description: `made by: ${command}`,
    graphs: [
      { title: 'all of them', lines },
      { title: 'the service alone, enlarged: the scale does not begin at 0', lines: lines.filter((_, i) => runs[i]?.subject.process === 'service.ts'), isEnlarged: true }
    ],
    moments: [{ ms: 0, title: 'query sent' }, ...isGivenUp ? [{ ms: facts.timeoutMs, title: `time-out: the client gives up (${seconds(facts.timeoutMs)})` }] : []],
    notes: notesOf(facts)
  })
}

function toLine (run: Run, index: number): MemoryLine {
  const { subject, samples, endMs, releasedMs } = run
  const marks: LineMark[] = [{ ms: endMs, kind: 'ended' }]
  const back = releasedMs === undefined ? `not given back, ${megabytes(kept(run))} still held` : `given back at ${seconds(releasedMs)}`
  const isMuch = taken(run) > LEFT_BYTES
  if (releasedMs !== undefined && isMuch) marks.push({ ms: releasedMs, kind: 'released' })
  return {
    title: `${subject.name}: ${megabytes(taken(run))} taken, statement ended at ${seconds(endMs)}${isMuch ? `, ${back}` : ''}`,
    colour: colours[index] ?? '#000',
    samples,
    marks
  }
}

function notesOf ({ rows, fileBytes, indices, node, sqlite, processors }: Facts): string[] {
  return [
    `${formatCount(rows)} generated jobs, ${indices} indices on job, no statistics, ${(fileBytes / 1e9).toFixed(1)} GB, all of it in the operating system's cache.`,
    'The statement: three of the job states, newest first; the plan: the index on (job_state, energy), and a sort. Each line is a process of its own.',
    `SQLite ${sqlite}, Node.js ${node}, ${processors} processors.`
  ]
}

function seconds (ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`
}

function megabytes (bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
