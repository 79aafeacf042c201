/**
 * Statements that would change the connection instead of the database. Statements run on several connections, so these would hold for some of them, and for
 * whoever has the connection next: they are refused.
 */
import { DbSession } from '../../errors.ts'

/** PRAGMAs with an argument that ask, change the file itself, or end with their transaction. Without an argument all of them only ask. */
const ALLOWED = new Set([
  'user_version', 'application_id', 'table_info', 'table_xinfo', 'table_list', 'index_list', 'index_info', 'index_xinfo', 'foreign_key_list', 'foreign_key_check',
  'integrity_check', 'quick_check', 'optimize', 'incremental_vacuum', 'wal_checkpoint', 'max_page_count', 'defer_foreign_keys'
])
/** `EXPLAIN PRAGMA` sets what it is to explain: some PRAGMAs do when they are prepared (https://sqlite.org/pragma.html). */
const CONNECTION = /(?:^|;)\s*(?:EXPLAIN\s+(?:QUERY\s+PLAN\s+)?)?(?:(ATTACH|DETACH|CREATE\s+TEMP(?:ORARY)?)\b|PRAGMA\s+(?:(\w+)\s*\.\s*)?(\w+)\s*[=(])/gi
const MAY_MATCH = /\b(?:ATTACH|DETACH|PRAGMA|TEMP|TEMPORARY)\b/i

/** Throws `TDM_ERR_DB_SESSION`. `sql`: one or more statements. */
export function refuseSession (sql: string): void {
  if (!MAY_MATCH.test(sql)) return
  for (const [, command, , pragma] of simplified(sql).matchAll(CONNECTION)) {
    if (command !== undefined) throw new DbSession(command.toUpperCase().replace(/\s+/g, ' '))
    if (pragma !== undefined && !ALLOWED.has(pragma.toLowerCase())) throw new DbSession(`PRAGMA ${pragma}`)
  }
}

/** Without comments, and without the quotes around words: the name of a PRAGMA may be quoted in each of the ways. Other texts are nothing to look at. */
function simplified (sql: string): string {
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g, token => {
    if (/^(?:--|\/\*)/.test(token)) return ' '
    const inside = token.slice(1, -1)
    return /^\w+$/.test(inside) ? ` ${inside} ` : ' _ '
  })
}
