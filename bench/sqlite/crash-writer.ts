/** The process that is killed: looks whether what was told before is there, then writes until it dies, and names each transaction when it is committed. */
import { writeSync } from 'node:fs'
import { readJob } from '../measure/child.ts'
import { addEntry } from './ledger.ts'
import { openTandem } from './tandem.ts'

export interface Job {
  readonly path: string
  readonly life: number
  /** The last keys that were told to be committed. */
  readonly expected: readonly string[]
  /** Transactions at a time. */
  readonly atOnce: number
}

await main(readJob<Job>())

async function main ({ path, life, expected, atOnce }: Job): Promise<void> {
  const db = await openTandem(path)
  const has = db.prepare('SELECT 1 AS n FROM entry WHERE key = ?')
  for (const key of expected) if (await has.get(key) === undefined) writeSync(1, `problem ${key} is not there when the file is opened again\n`)
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (;;) {
      const key = `${life}-${next++}`
      await addEntry(db, key)
      writeSync(1, `${key}\n`) // at once: the pipe outlives the process
    }
  }))
}
