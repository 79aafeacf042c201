/** What the text of a statement says about where it may run. By its words alone, so one that hides in a function or in the company of a comment is not seen. */
import type { Query } from '../types.ts'

export interface Traits {
  /** It begins like a read. Whether it is one is for the server to say: it is run read only. */
  readonly looksRead: boolean
  /** It outlives its transaction, so its connection is not used again. `SET LOCAL` does not. */
  readonly changesSession: boolean
  /** What it sends goes out with COMMIT, and has no transaction id. */
  readonly notifies: boolean
  /** Its answer belongs to a transaction: its time, its id, its snapshot. */
  readonly needsTransaction: boolean
  /** It writes rows and nothing else, and is committed by Sync or COMMIT: if it was not answered before the server ended the session, it did not happen. */
  readonly isPlain: boolean
}

const CHANGES_SESSION =
  /^\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|LISTEN\b|UNLISTEN\b|LOAD\b|DISCARD\b|PREPARE\b|DEALLOCATE\b|CREATE\s+(?:LOCAL\s+)?TEMP)|\bpg_(?:try_)?advisory_(?:un)?lock|\bset_config\s*\(|\bWITH\s+HOLD\b/i
const NOTIFIES = /\bNOTIFY\b|\bpg_notify\b/i
/** They do what the server does not call a write. */
const REACHES_OUT = /\bpg_(?:try_)?advisory_|\bdblink|\blo_\w+\s*\(|\bpg_(?:terminate|cancel)_backend\b/i
const OF_TRANSACTION = /\b(?:now|transaction_timestamp|current_(?:date|time|timestamp)|localtime(?:stamp)?|txid_\w+|pg_current_\w+|pg_export_snapshot)\b/i
const READS = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', 'SHOW', 'EXPLAIN'])
const PLAIN = new Set(['SELECT', 'WITH', 'VALUES', 'TABLE', 'INSERT', 'UPDATE', 'DELETE', 'MERGE'])

const known = new WeakMap<Query, Traits>()

export function traitsOf (query: Query): Traits {
  let traits = known.get(query)
  if (traits === undefined) known.set(query, traits = readTraits(query.sql, query.keyword))
  return traits
}

/** `keyword`: the first word in upper case; '' for a script. */
export function readTraits (sql: string, keyword = ''): Traits {
  const changesSession = CHANGES_SESSION.test(sql)
  const notifies = NOTIFIES.test(sql)
  const looksRead = READS.has(keyword) && !changesSession && !notifies && !REACHES_OUT.test(sql)
  return Object.freeze({ looksRead, changesSession, notifies, needsTransaction: OF_TRANSACTION.test(sql), isPlain: PLAIN.has(keyword) })
}
