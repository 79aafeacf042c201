/** For the tests of an app: a database that forgets. */
import { replaceEngine } from '../db/database.ts'
import type { Database } from '../db/types.ts'
import { SandboxEngine } from './sandbox-engine.ts'

/**
 * Runs `fn`, in which everything that goes through `target` (an app with `app.db`, or a database), its requests too, is inside of one transaction that is rolled back in the end.
 *
 * A transaction in it is a savepoint: it is kept until the sandbox ends, or undone, as it would be without the sandbox; deferred constraints are checked at its end, and its
 * callbacks run. What `notify` sends is never delivered. What goes through `app.pg` is not in it. There is one connection: a second transaction waits for the first, and one that is opened inside of another
 * (`propagation: 'new'`, `db.outsideTx`) is `TDM_ERR_POOL_DEADLOCK`. On SQLite deferred constraints are checked in all tables, so their rows had better be few.
 *
 * Throws `TDM_ERR_TESTING_SANDBOX` if the database is in a sandbox already.
 */
export async function sandbox<T> (target: Database | { readonly db: Database }, fn: () => T | Promise<T>): Promise<T> {
  let engine: SandboxEngine | undefined
  const restore = await replaceEngine('db' in target ? target.db : target, async actual => {
    engine = new SandboxEngine(actual, await actual.begin({ mode: 'write', isolation: undefined }, { deadline: Infinity, signal: undefined, held: [] }, 'sandbox()'))
    return engine
  })
  try {
    return await fn()
  } finally {
    await engine?.end(5000)
    restore()
  }
}
