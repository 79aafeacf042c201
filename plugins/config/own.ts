/**
 * Variables of the app itself, read and checked together with those of the plugins: one list of problems, one `.env.example`.
 * They stay texts; what they mean is up to the app.
 */
import { readText, type Env } from './environment.ts'
import type { Problem } from './problem.ts'

export interface OwnVariable {
  readonly name: string
  /** One or two sentences: what it does. */
  readonly description: string
  /** What may be written, in words. */
  readonly form: string
  /** What the text has to match. Default: anything. */
  readonly pattern?: RegExp
  /** As it would be written. Absent: see `defaultRule`. */
  readonly default?: string
  /** How the default is found, in words. */
  readonly defaultRule?: string
  readonly example: string
  /** True when it is never to be printed. */
  readonly secret?: boolean
}

export interface OwnValues {
  /** By name; those that are not set have their `default`, or are undefined. */
  readonly values: Readonly<Record<string, string | undefined>>
  readonly problems: Problem[]
}

export function readOwn (env: Env, variables: readonly OwnVariable[]): OwnValues {
  const problems: Problem[] = []
  const values: Record<string, string | undefined> = {}
  for (const { name, form, pattern, example, secret, default: fallback } of variables) {
    const text = readText(env, name)
    values[name] = text ?? fallback
    if (text === undefined || pattern === undefined || pattern.test(text)) continue
    problems.push({ variable: name, value: secret === true ? undefined : text, expected: form, instead: `${name}=${example}, or leave it out` })
  }
  return { values, problems }
}
