// For the tests of the configuration: a machine that is always the same, and the problems as lines.
import { readConfig } from '../../plugins/config/index.ts'
import type { Machine } from '../../plugins/config/machine.ts'

export const machine: Machine = { memoryBytes: 16e9, memoryOf: 'machine', processors: 8 }

/** The lines of the error that `env` leads to; [] when there is none. */
export function problemsOf (env: Record<string, string>, on = machine): string[] {
  try {
    readConfig(env, on)
    return []
  } catch (error) {
    return (error as Error).message.split('\n').slice(1).map(line => line.replace(/^ {2}- /, ''))
  }
}
