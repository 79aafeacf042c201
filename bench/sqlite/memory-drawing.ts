/**
 * Draws memory over time as SVG: `drawMemory` one panel for each process, on one scale; `drawMemoryLines` the lines of several processes in one picture, with what
 * happened to each marked on its line.
 */
import type { Sample } from './memory-samples.ts'

export interface Panel {
  readonly title: string
  readonly samples: readonly Sample[]
  /** Lines across, in bytes. */
  readonly limits?: readonly number[]
}

const WIDTH = 420
const HEIGHT = 220
const LEFT = 60
const TOP = 40
const GAP = 40
/** As many as the panel has pixels. */
const POINTS = WIDTH

export function drawMemory (panels: readonly Panel[]): string {
  const top = Math.ceil(Math.max(100e6, ...panels.flatMap(({ samples }) => highest(samples).map(({ bytes }) => bytes))) / 100e6) * 100e6
  const width = LEFT + panels.length * (WIDTH + GAP)
  const height = TOP + HEIGHT + 40
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${axis(top)}
${panels.map((panel, i) => drawPanel(panel, LEFT + i * (WIDTH + GAP), top)).join('\n')}
</svg>
`
}

function axis (top: number): string {
  const marks = [0, 0.25, 0.5, 0.75, 1].map(share => {
    const y = TOP + HEIGHT * (1 - share)
    return `<text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${Math.round(top * share / 1e6)}</text>`
  })
  return [...marks, `<text x="${LEFT - 6}" y="${TOP - 14}" text-anchor="end">MB</text>`].join('\n')
}

function drawPanel ({ title, samples, limits = [] }: Panel, left: number, top: number): string {
  const end = samples.at(-1)?.ms ?? 1
  const x = (ms: number): string => (left + ms / end * WIDTH).toFixed(1)
  const y = (bytes: number): string => (TOP + HEIGHT * (1 - bytes / top)).toFixed(1)
  const line = highest(samples).map(({ ms, bytes }) => `${x(ms)},${y(bytes)}`).join(' ')
  return [
    `<text x="${left}" y="${TOP - 14}" font-weight="bold">${title}</text>`,
    `<rect x="${left}" y="${TOP}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#bbb"/>`,
    ...[0.25, 0.5, 0.75].map(share => `<line x1="${left}" x2="${left + WIDTH}" y1="${TOP + HEIGHT * share}" y2="${TOP + HEIGHT * share}" stroke="#eee"/>`),
    ...phaseStarts(samples).map(({ ms }) => `<line x1="${x(ms)}" x2="${x(ms)}" y1="${TOP}" y2="${TOP + HEIGHT}" stroke="#bbb" stroke-dasharray="3 3"/>`),
    ...limits.map(bytes => `<line x1="${left}" x2="${left + WIDTH}" y1="${y(bytes)}" y2="${y(bytes)}" stroke="#c0392b" stroke-dasharray="6 3"/>`),
    `<polyline points="${line}" fill="none" stroke="#1f6fb2" stroke-width="1.5"/>`,
    `<text x="${left}" y="${TOP + HEIGHT + 16}">0 s</text>`,
    `<text x="${left + WIDTH}" y="${TOP + HEIGHT + 16}" text-anchor="end">${(end / 1000).toFixed(0)} s</text>`
  ].join('\n')
}

/** The highest of each slice of time, so that no peak is lost. */
function highest<S extends Pick<Sample, 'ms' | 'bytes'>> (samples: readonly S[]): S[] {
  const slice = (samples.at(-1)?.ms ?? 1) / POINTS
  const points = new Map<number, S>()
  for (const sample of samples) {
    const i = Math.floor(sample.ms / slice)
    if (sample.bytes > (points.get(i)?.bytes ?? 0)) points.set(i, sample)
  }
  return [...points.values()]
}

function phaseStarts (samples: readonly Sample[]): Sample[] {
  return samples.filter(({ phase }, i) => i > 0 && phase !== samples[i - 1]?.phase)
}

// --- several processes in one picture ---------------------------------------------------------------------------------------------

/** Something that happened to one of the processes: 'ended' a disc, 'released' a diamond on its line. */
export interface LineMark { readonly ms: number, readonly kind: 'ended' | 'released' }

export interface MemoryLine {
  /** In the legend. */
  readonly title: string
  readonly colour: string
  readonly samples: ReadonlyArray<Pick<Sample, 'ms' | 'bytes'>>
  readonly marks: readonly LineMark[]
}

/** What happened to all of them at the same time: a line from top to bottom. */
export interface Moment { readonly ms: number, readonly title: string }

/** `isEnlarged`: its scale begins where the lines do, and not at 0. */
export interface Graph { readonly title: string, readonly lines: readonly MemoryLine[], readonly isEnlarged?: boolean }

export interface Drawing {
  readonly title: string
  /** How it was made: a comment in the file. */
  readonly description: string
  /** One below the other, each on a scale of its own, all over the same time. */
  readonly graphs: readonly Graph[]
  readonly moments: readonly Moment[]
  /** What was measured, below the picture. */
  readonly notes: readonly string[]
}

const GRAPH = { width: 820, height: 230, left: 74, top: 64, step: 318 }
const LINE_HEIGHT = 18

export function drawMemoryLines ({ title, description, graphs, moments, notes }: Drawing): string {
  const lines = graphs[0]?.lines ?? []
  const legendTop = GRAPH.top + graphs.length * GRAPH.step - 22
  const notesTop = legendTop + (lines.length + 1) * LINE_HEIGHT + 12
  const width = GRAPH.left + GRAPH.width + 30
  const height = notesTop + notes.length * LINE_HEIGHT
  const everything = graphs.flatMap(graph => graph.lines.flatMap(line => line.samples.map(({ ms }) => ms)))
  const times: Axis = { low: Math.min(0, ...everything), high: Math.max(1, ...everything) }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img" aria-label="${escapeXml(title)}">`,
    `<desc>${escapeXml(description)}</desc>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    textAt(GRAPH.left, 24, title, 'font-size="15" font-weight="bold"'),
    ...graphs.flatMap((graph, i) => drawGraph(graph, GRAPH.top + i * GRAPH.step, times, moments)),
    ...drawLegend(lines, legendTop),
    ...notes.map((note, i) => textAt(GRAPH.left, notesTop + i * LINE_HEIGHT, note, 'fill="#555"')),
    '</svg>', ''
  ].join('\n')
}

interface Axis { readonly low: number, readonly high: number }

function drawGraph ({ title, lines, isEnlarged = false }: Graph, top: number, times: Axis, moments: readonly Moment[]): string[] {
  const { width, height, left } = GRAPH
  const bytesAxis = memoryAxis(lines, isEnlarged)
  const x = (ms: number): number => round(left + (ms - times.low) / (times.high - times.low) * width)
  const y = (bytes: number): number => round(top + height * (1 - (bytes - bytesAxis.low) / (bytesAxis.high - bytesAxis.low)))
  return [
    textAt(left, top - 8, title, 'font-weight="bold"'),
    textAt(0, 0, 'MB', `transform="translate(16 ${top + height / 2}) rotate(-90)" text-anchor="middle"`),
    ...ticks(bytesAxis).flatMap(bytes => [
      `<line x1="${left}" x2="${left + width}" y1="${y(bytes)}" y2="${y(bytes)}" stroke="#eee"/>`,
      textAt(left - 6, y(bytes) + 4, (bytes / 1e6).toLocaleString('en-US'), 'text-anchor="end"')
    ]),
    ...ticks(times).flatMap(ms => [
      `<line x1="${x(ms)}" x2="${x(ms)}" y1="${top + height}" y2="${top + height + 4}" stroke="#999"/>`,
      textAt(x(ms), top + height + 17, (ms / 1000).toLocaleString('en-US'), 'text-anchor="middle"')
    ]),
    textAt(left + width / 2, top + height + 34, 'seconds since the query was sent', 'text-anchor="middle"'),
    ...moments.flatMap(({ ms, title }, i) => [
      `<line x1="${x(ms)}" x2="${x(ms)}" y1="${top}" y2="${top + height}" stroke="#777" stroke-dasharray="4 3"/>`,
      textAt(x(ms) + 4, top + height - 8 - i * 14, title, 'fill="#555" font-size="11"')
    ]),
    `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#bbb"/>`,
    ...lines.flatMap(line => drawLine(line, x, y))
  ]
}

function memoryAxis (lines: readonly MemoryLine[], isEnlarged: boolean): Axis {
  const all = lines.flatMap(({ samples }) => samples.map(({ bytes }) => bytes))
  const [least, most] = [Math.min(...all), Math.max(1e6, ...all)]
  return isEnlarged ? { low: Math.max(0, least - (most - least) * 0.4), high: most + (most - least) * 0.1 } : { low: 0, high: most * 1.05 }
}

function drawLine ({ samples, colour, marks }: MemoryLine, x: (ms: number) => number, y: (bytes: number) => number): string[] {
  const points = samples.map(({ ms, bytes }) => `${x(ms)},${y(bytes)}`).join(' ')
  const bytesAt = (ms: number): number => samples.findLast(sample => sample.ms <= ms)?.bytes ?? samples[0]?.bytes ?? 0
  return [
    `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-linejoin="round"/>`,
    ...marks.map(({ ms, kind }) => drawMark(kind, x(ms), y(bytesAt(ms)), colour))
  ]
}

function drawMark (kind: LineMark['kind'], x: number, y: number, colour: string): string {
  if (kind === 'ended') return `<circle cx="${x}" cy="${y}" r="5" fill="${colour}" stroke="#fff"/>`
  return `<path d="M${x} ${round(y - 7)}L${round(x + 7)} ${y}L${x} ${round(y + 7)}L${round(x - 7)} ${y}Z" fill="#fff" stroke="${colour}" stroke-width="2"/>`
}

function drawLegend (lines: readonly MemoryLine[], top: number): string[] {
  const { left } = GRAPH
  const entries = lines.flatMap(({ title, colour }, i) => {
    const y = top + i * LINE_HEIGHT
    return [`<line x1="${left}" x2="${left + 26}" y1="${y - 4}" y2="${y - 4}" stroke="${colour}" stroke-width="3"/>`, textAt(left + 34, y, title, '')]
  })
  const last = top + lines.length * LINE_HEIGHT
  return [
    ...entries,
    drawMark('ended', left + 13, last - 4, '#555'), textAt(left + 34, last, 'the statement has ended', ''),
    drawMark('released', left + 213, last - 4, '#555'), textAt(left + 228, last, 'what it took has been given back to the operating system', '')
  ]
}

/** Round numbers in between, some five of them. */
function ticks ({ low, high }: Axis): number[] {
  const rough = (high - low) / 6
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough) ?? rough
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step)
}

function textAt (x: number, y: number, text: string, attributes: string): string {
  return `<text x="${x}" y="${y}"${attributes === '' ? '' : ` ${attributes}`}>${escapeXml(text)}</text>`
}

function escapeXml (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function round (pixels: number): number {
  return Math.round(pixels * 10) / 10
}
