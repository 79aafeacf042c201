/**
 * The table that is measured on, and the statements that are asked of it.
 *
 * What is kept true: the same number of rows gives the same rows, everywhere. A file is renamed to its name when it is complete, so one that was interrupted is
 * never taken for one that is there. Nobody writes to it afterwards. Rows take about 80 bytes, index included.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { formatCount, formatSeconds, Progress } from '../../scripts/terminal.ts'

/** A row of the table, as a point read answers it. */
export interface Item { id: number, a: number, b: string, c: number }

export const pointSql = 'SELECT id, a, b, c FROM item WHERE id = ?'

const ROWS_PER_STEP = 100_000

/** The path of a table with so many rows in `folder`; makes it when it is not there yet. */
export function findTable (folder: string, rows: number): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `item-${rows}.db`)
  if (existsSync(path)) return path
  const half = `${path}.incomplete`
  rmSync(half, { force: true })
  const progress = new Progress({ unit: 'rows' })
  makeTable(half, rows, progress)
  renameSync(half, path)
  const [megabytes, seconds] = [statSync(path).size / 1e6, progress.seconds]
  console.error(`${path}: ${formatCount(rows)} rows, ${formatCount(Math.round(megabytes))} MB, made in ${formatSeconds(seconds)} (${formatCount(Math.round(rows / seconds))} rows/s)`)
  return path
}

/** Makes the table in a new file. */
export function makeTable (path: string, rows: number, progress = new Progress({ unit: 'rows' })): void {
  const db = new Sqlite(path)
  db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000')
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b TEXT NOT NULL, c REAL NOT NULL, d TEXT NOT NULL)')
  const insert = db.prepare(insertSql)
  for (let done = 0; done < rows; done += ROWS_PER_STEP) {
    insert.run({ first: done + 1, last: Math.min(done + ROWS_PER_STEP, rows) })
    progress.update(done, rows, 'item')
  }
  progress.update(rows, rows, 'index')
  db.exec('CREATE INDEX item_a ON item (a); PRAGMA journal_mode = WAL')
  db.close()
  progress.clear()
}

/** `h` and `i` look random: `id` times an odd number, and that squared, modulo 2^32. */
const insertSql = `
  WITH RECURSIVE
    n (id) AS (SELECT :first UNION ALL SELECT id + 1 FROM n WHERE id < :last),
    mixed (id, h) AS (SELECT id, (id * 2654435761) % 4294967296 FROM n),
    twice (id, h, i) AS (SELECT id, h, (h * (h % 65521) + id) % 4294967296 FROM mixed)
  INSERT INTO item (id, a, b, c, d)
  SELECT id, i % 1000, printf('%08x%08x%04x', i, h, id % 65536), h / 1000.0, printf('item number %d of group %d', id, i % 1000) FROM twice`

/** Reads the file once, so that nobody is the first to wait for the disk. */
export function warmTable (path: string): void {
  const db = new Sqlite(path, { readonly: true })
  db.prepare('SELECT sum(length(d)) FROM item NOT INDEXED').get()
  db.prepare('SELECT sum(a) FROM item').get()
  db.close()
}

// --- statements that take long ------------------------------------------------------------------------------------------------

export type HeavyName = 'scan' | 'group' | 'sort'

/** A statement that reads the whole table, and more than once if the table has fewer rows than `atLeast`. Each answers one row by `get()`. */
export function heavySql (name: HeavyName, rows: number, atLeast = 0): string {
  const from = itemsOf(rows, atLeast)
  switch (name) {
    case 'scan': return `SELECT count(*) AS n FROM ${from} WHERE b LIKE '%abc%'`
    case 'group': return `SELECT count(*) AS n, max(many) AS most FROM (SELECT count(*) AS many FROM ${from} GROUP BY substr(b, 1, 7))`
    case 'sort': return `SELECT id, b FROM ${from} ORDER BY b, id`
  }
}

/** All rows; `passes` times the table when it is small. */
export function allSql (rows: number, atLeast: number): string {
  return `SELECT id, a, b, c, d FROM ${itemsOf(rows, atLeast)}`
}

/** One text of the whole table. */
export function textSql (rows: number, atLeast: number): string {
  return `SELECT length(group_concat(b)) AS n FROM ${itemsOf(rows, atLeast)}`
}

/** SQLite answers an OR over two indexes by a set of row ids in memory, which no PRAGMA bounds: some 23 bytes a row, here of every row. */
export const orSql = 'SELECT count(c) AS n FROM item WHERE id > 0 OR a >= 999'

function itemsOf (rows: number, atLeast: number): string {
  const passes = Math.ceil(atLeast / rows)
  if (passes <= 1) return 'item'
  return `(VALUES ${Array.from({ length: passes }, (_, i) => `(${i})`).join(', ')}) CROSS JOIN item`
}
