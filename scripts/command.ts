/** What the commands of this folder do alike: say only what goes wrong, end at Ctrl-C, and tell an error. */
import type { Log } from '../plugins/db/types.ts'
import { isOurs } from '../plugins/errors.ts'

/** Only what goes wrong is worth a line next to the progress. */
export const quietLog: Log = {
  info: () => {},
  warn: (_, message) => { console.error(message) },
  error: (_, message) => { console.error(message) }
}

/** Aborted by the first Ctrl-C (or SIGTERM); a second one ends the process at once, with 130. */
export function watchInterrupt (): AbortSignal {
  const interrupted = new AbortController()
  const interrupt = (): void => {
    if (interrupted.signal.aborted) process.exit(130)
    interrupted.abort()
  }
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  return interrupted.signal
}

/** An error of ours says what to do; of any other the message has to do. */
export function explain (error: unknown): string {
  if (isOurs(error)) return `${error.message} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}
