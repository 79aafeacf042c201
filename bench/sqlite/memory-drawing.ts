/** Draws memory over time as SVG, one panel for each process, on one scale. */
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
function highest (samples: readonly Sample[]): Sample[] {
  const slice = (samples.at(-1)?.ms ?? 1) / POINTS
  const points = new Map<number, Sample>()
  for (const sample of samples) {
    const i = Math.floor(sample.ms / slice)
    if (sample.bytes > (points.get(i)?.bytes ?? 0)) points.set(i, sample)
  }
  return [...points.values()]
}

function phaseStarts (samples: readonly Sample[]): Sample[] {
  return samples.filter(({ phase }, i) => i > 0 && phase !== samples[i - 1]?.phase)
}
