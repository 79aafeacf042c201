/**
 * What a measurement is given, and what it answers: figures, each against its bound if it has one.
 *
 * What is kept true: a figure that is not a number misses its bound. What went wrong (a false answer, a lost row, an error of somebody innocent) is a problem, never
 * a figure, and no size of the run forgives it.
 */

/** 'full': the sizes and bounds that are promised. 'short': for CI, generous bounds. 'tiny': a few of each, no bounds; for tests of the answers. */
export type Effort = 'full' | 'short' | 'tiny'

export interface Settings {
  readonly rows: number
  readonly effort: Effort
  /** The generated table. Read only. */
  readonly path: string
  /** An empty folder for what is written. */
  readonly scratch: string
}

export interface Bound { readonly atMost?: number, readonly atLeast?: number }

export interface Figure {
  readonly name: string
  readonly value: number
  /** '×', 'ms', 'MB', 'of 30' */
  readonly unit: string
  /** Of the rounds: the smallest and the largest, or what the report calls it. */
  readonly spread?: readonly [number, number] | undefined
  readonly bound?: Bound | undefined
}

/** What is read best side by side; the first row says what the columns are. */
export type Table = readonly (readonly string[])[]

/** What a picture shows; the report draws it. `panel`: what stands in a field of its own, with its own scale. */
export interface Chart {
  /** Of its file, without an ending. */
  readonly name: string
  readonly title: string
  readonly kind: 'bars' | 'lines'
  /** What the axes say, with their units. Bars are named by `series`, so they have no `x`. */
  readonly x?: string
  readonly y: string
  readonly isLogarithmic?: boolean
  readonly points: ReadonlyArray<{ readonly panel: string, readonly series: string, readonly x?: number, readonly y: number }>
}

export interface Outcome {
  readonly tables?: readonly Table[]
  readonly charts?: readonly Chart[]
  readonly figures: readonly Figure[]
  readonly problems: readonly string[]
  /** What one has to know to read the figures. */
  readonly notes: readonly string[]
  /** A drawing of what happened. */
  readonly svg?: string | undefined
}

export interface Measurement<Given = Settings> {
  readonly name: string
  readonly title: string
  readonly measure: (settings: Given) => Promise<Outcome>
}

/** The bound for this run. */
export function boundFor ({ effort }: Pick<Settings, 'effort'>, full: Bound, short: Bound): Bound | undefined {
  return { full, short, tiny: undefined }[effort]
}

/** True for a figure without a bound. */
export function isMet ({ value, bound }: Figure): boolean {
  if (bound === undefined) return true
  const { atMost = Infinity, atLeast = -Infinity } = bound
  return value <= atMost && value >= atLeast
}

/** True if every bound is met and nothing went wrong. */
export function isGood ({ figures, problems }: Outcome): boolean {
  return problems.length === 0 && figures.every(isMet)
}
