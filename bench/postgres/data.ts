/** The statements that are measured on PostgreSQL alone, on the tables of ../contenders/data.ts. What is kept true: everybody is asked with the same text. */
import { numbered, sql as common } from '../contenders/data.ts'

export const SLOW_MS = 50

const sleep = SLOW_MS / 1000

export const sql = {
  point: numbered(common.point),
  list: numbered(common.list),
  account: numbered(common.account),
  add: numbered(common.add),
  entry: numbered(common.entry),
  /** Of an id that is there already. */
  duplicate: 'INSERT INTO item (id, a, b, c) VALUES ($1, 0, \'\', 0)',
  slow: `SELECT 1 AS one, pg_sleep(${sleep})::text AS slept`,
  /** Slow if $2 is 1. */
  either: `SELECT id, a, b, c, pg_sleep(CASE WHEN $2 = 1 THEN ${sleep} ELSE 0 END)::text AS slept FROM item WHERE id = $1`
} as const

export type StatementName = keyof typeof sql
