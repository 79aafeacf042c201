/** What bench.json holds: one run, with all that its report needs. */
import { readFileSync } from 'node:fs'
import type { Effort, Outcome } from '../measure/measurement.ts'

export interface Part extends Outcome {
  readonly name: string
  readonly title: string
  /** How long it took. */
  readonly seconds: number
}

export interface Run {
  /** What it was measured on, in words, by what they say. */
  readonly machine: Readonly<Record<string, string>>
  readonly date: string
  readonly effort: Effort
  readonly seconds: number
  readonly parts: readonly Part[]
  /** With another run of the same code on the same machine, if there was one: how many of the ratios were within 20 and within 50 %. */
  readonly agreement?: Agreement
}

export interface Agreement { readonly ratios: number, readonly within20: number, readonly within50: number }

/** Throws if the file is something else. */
export function readRun (path: string): Run {
  const run = JSON.parse(readFileSync(path, 'utf8')) as Partial<Run>
  if (!Array.isArray(run.parts) || run.machine === undefined) throw new Error(`${path} is not what npm run bench writes`)
  return run as Run
}
