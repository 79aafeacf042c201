/** Has an error of the database tell which table was worked on. */
import { CopyFailed, errorKind } from '../../errors.ts'

/** Failures that have nothing to do with the table. */
const PASSING: ReadonlySet<unknown> = new Set([undefined, 'aborted', 'timeout', 'connection', 'busy', 'deadlock', 'serialization'])

/** True if the same would come of it again. */
export function isLasting (error: unknown): boolean {
  return !PASSING.has(errorKind(error))
}

/** Throws `TDM_ERR_COPY_FAILED` for what is wrong with the table, everything else as it is. */
export async function during<T> (table: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (!isLasting(error)) throw error
    throw new CopyFailed(table, (error as Error).message, { cause: error })
  }
}
