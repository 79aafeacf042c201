/**
 * What of a statement may be shown to operators: its text with the literals redacted, and a short name for that text.
 *
 * What is kept true: no string, number, blob or comment that was written into the SQL is left. Placeholders and names are; a text that cannot be read to its end is redacted to its end.
 */
import { createHash } from 'node:crypto'

/** In this order: comments, quoted names, strings with escapes, strings, dollar quotes, placeholders and casts, names, numbers. */
const TOKEN = new RegExp([
  /(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))/,
  /(?<name>"(?:[^"]|"")*(?:"|$)|`[^`]*(?:`|$))/,
  /(?<literal>[eE]'(?:\\[^]|''|[^'\\])*(?:'|$)|(?:[xXbBnN]|[uU]&)?'(?:''|[^'])*(?:'|$)|\$(?<tag>(?:[A-Za-z_]\w*)?)\$[^]*?(?:\$\k<tag>\$|$))/,
  /(?<other>[?:@$]+\w+|[\p{L}_][\p{L}\p{N}_$]*)/u,
  /(?<number>0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)/
].map(({ source }) => source).join('|'), 'gu')

/** On one line, with `?` for each literal. */
export function redactSql (sql: string): string {
  return sql.replace(TOKEN, (token, ...rest) => {
    const { comment, literal, number } = rest.at(-1) as Record<string, string | undefined>
    if (comment !== undefined) return ' '
    return literal === undefined && number === undefined ? token : '?'
  }).replace(/\s+/g, ' ').trim()
}

/** Twelve digits for all statements that differ in nothing but literals, blanks and comments. */
export function fingerprintOf (redacted: string): string {
  return createHash('sha256').update(redacted).digest('hex').slice(0, 12)
}
