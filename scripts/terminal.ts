/**
 * Progress of a long command, on the terminal: how much of how many, percent, rate, and the time that is left.
 *
 * What is kept true: only stderr is written to, so that stdout can be piped; on a terminal one line is drawn over and over, at most ten times a second; elsewhere
 * (a log, a pipe) a plain line is written every few seconds. Nothing here knows what is counted.
 */

export interface ProgressOptions {
  /** What is counted, such as 'rows'. */
  readonly unit: string
  /** Default: stderr. */
  readonly stream?: ProgressStream
  /** Milliseconds on any clock. Default: `performance.now`. */
  readonly clock?: () => number
}

/** The part of a `tty.WriteStream` that is needed. */
export interface ProgressStream {
  readonly isTTY?: boolean
  readonly columns?: number
  write: (text: string) => unknown
}

const REDRAW_MS = 100
const LINE_MS = 5000
/** The rate is that of the last so many milliseconds. */
const WINDOW_MS = 15_000
const BAR_WIDTH = 24

export class Progress {
  readonly #unit: string
  readonly #stream: ProgressStream
  readonly #clock: () => number
  readonly #startedAt: number
  #drawnAt: number
  #isDrawn = false
  #done = 0
  /** What was done when, the oldest first. */
  #samples: Array<{ at: number, done: number }>

  constructor ({ unit, stream = process.stderr, clock = () => performance.now() }: ProgressOptions) {
    this.#unit = unit
    this.#stream = stream
    this.#clock = clock
    this.#startedAt = clock()
    // on a terminal something is to be seen at once; a command that ends within seconds leaves no line in a log
    this.#drawnAt = stream.isTTY === true ? -Infinity : this.#startedAt
    this.#samples = [{ at: this.#startedAt, done: 0 }]
  }

  /** `label`: what is being done now, such as a table's name. Less than before begins a count of something else. Cheap enough to be called for every batch. */
  update (done: number, total: number, label = ''): void {
    const now = this.#clock()
    if (done < this.#done) this.#samples = [{ at: now, done }]
    this.#done = done
    if (now - this.#drawnAt < (this.#stream.isTTY === true ? REDRAW_MS : LINE_MS)) return
    this.#drawnAt = now
    this.#samples.push({ at: now, done })
    while (this.#samples.length > 2 && (this.#samples[1]?.at ?? now) < now - WINDOW_MS) this.#samples.shift()
    this.#draw(progressLine({ done, total, label, unit: this.#unit, rate: this.#rate(now, done) }))
  }

  /** Removes the line from the terminal. To be called before anything else is printed. */
  clear (): void {
    if (this.#isDrawn) this.#stream.write('\r\u001B[K')
    this.#isDrawn = false
  }

  /** Seconds since the start. */
  get seconds (): number {
    return (this.#clock() - this.#startedAt) / 1000
  }

  #draw (line: string): void {
    if (this.#stream.isTTY !== true) {
      this.#stream.write(`${line}\n`)
      return
    }
    this.#stream.write(`\r${line.slice(0, (this.#stream.columns ?? 80) - 1)}\u001B[K`)
    this.#isDrawn = true
  }

  #rate (now: number, done: number): number {
    const { at, done: before } = this.#samples[0] ?? { at: this.#startedAt, done: 0 }
    return now > at ? (done - before) / ((now - at) / 1000) : 0
  }
}

/** `rate`: a second. */
export interface ProgressState { readonly done: number, readonly total: number, readonly label: string, readonly unit: string, readonly rate: number }

/** '████░░░░  25%  250 of 1,000 rows  100 rows/s  8s left  job' */
export function progressLine ({ done, total, label, unit, rate }: ProgressState): string {
  const share = total === 0 ? 1 : Math.min(done / total, 1)
  const filled = Math.floor(share * BAR_WIDTH)
  const parts = [
    '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled),
    `${Math.floor(share * 100)}%`.padStart(4),
    `${formatCount(done)} of ${formatCount(total)} ${unit}`,
    `${formatCount(Math.round(rate))} ${unit}/s`,
    rate > 0 ? `${formatSeconds((total - done) / rate)} left` : '',
    label
  ]
  return parts.filter(part => part !== '').join('  ')
}

/** 1234567 → '1,234,567' */
export function formatCount (count: number): string {
  return count.toLocaleString('en-US')
}

/** 75 → '1min 15s' */
export function formatSeconds (seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  if (whole < 60) return `${whole}s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes}min ${whole % 60}s` : `${Math.floor(minutes / 60)}h ${minutes % 60}min`
}

/** Rows of text in columns, the first flush left and the others flush right. */
export function formatTable (rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row => row.map((text, i) => i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)).join('  ').trimEnd()).join('\n')
}
