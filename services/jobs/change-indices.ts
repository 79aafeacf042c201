/**
 * Our indices in a database that has others, such as one of cc-backend: added, or taken away again. Lists and statistics are as fast there then as in a database of our own;
 * cc-backend does not mind them.
 *
 * What is kept true: each index is a transaction of its own, so whatever ends this leaves whole indices, and the next call goes on. Nothing but our own indices is changed.
 */
import type { Database, TxOptions } from '../../plugins/db/types.ts'
import { findIndices } from './bulk.ts'
import { createIndex, indexSets, type Index } from './indices.ts'

const unlimited: TxOptions = { timeout: Infinity, statementTimeout: Infinity }

/** Called before each: which of how many. */
export type OnIndex = (name: string, number: number, of: number) => void

/** Ours that are not there. The key of the scheduler counts as there: in a database of cc-backend it is a part of the table. */
export async function findMissing (db: Database): Promise<Index[]> {
  const there = await namesOf(db)
  return indexSets.ours.filter(({ name, isUnique }) => isUnique !== true && !there.has(name))
}

/** Ours that are there, and can be taken away. */
export async function findAdded (db: Database): Promise<Index[]> {
  const there = await namesOf(db)
  return indexSets.ours.filter(({ name, isUnique }) => isUnique !== true && there.has(name))
}

export async function addIndices (db: Database, indices: readonly Index[], onIndex: OnIndex): Promise<void> {
  for (const [i, index] of indices.entries()) {
    onIndex(index.name, i + 1, indices.length)
    await db.tx(async tx => { await tx.exec(createIndex(index, db.engine)) }, unlimited)
  }
}

/** A service that runs and has seen them has to be started anew. */
export async function dropIndices (db: Database, indices: readonly Index[], onIndex: OnIndex): Promise<void> {
  for (const [i, { name }] of indices.entries()) {
    onIndex(name, i + 1, indices.length)
    await db.tx(async tx => { await tx.exec(`DROP INDEX ${name}`) }, unlimited)
  }
}

async function namesOf (db: Database): Promise<Set<string>> {
  return new Set((await findIndices(db, db.engine, 'job')).map(({ name }) => name))
}
