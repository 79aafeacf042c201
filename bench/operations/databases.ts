/** A database for each contender, so that nobody's writes are in another's times: copies of one that is made once for each number of rows. */
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineName } from '../../plugins/db/types.ts'
import { makeFile } from '../contenders/data.ts'
import type { Settings } from '../measure/settings.ts'

let copies = 0

/** The path of a new file, or the URL of a new database. */
export async function newTarget (engine: EngineName, rows: number, { scratch, servers }: Settings): Promise<string> {
  if (engine === 'postgres') return await servers.database('off', rows)
  const original = join(scratch, `rows-${rows}.db`)
  if (!existsSync(original)) makeFile(original, rows)
  const path = join(scratch, `copy-${++copies}.db`)
  copyFileSync(original, path)
  return path
}
