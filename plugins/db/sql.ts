/**
 * Reads SQL just far enough to find placeholders, statement boundaries and first words. Nothing but placeholders is ever rewritten.
 *
 * Placeholders are looked for outside of:
 *  1. strings: '…' with '' inside; on PostgreSQL also E'…' with backslashes and $tag$…$tag$
 *  2. quoted identifiers: "…"; on SQLite also `…` and […]
 *  3. comments: -- to the end of the line, and block comments (nested on PostgreSQL, not nested on SQLite)
 *  4. words, so that `a$1` is a name; casts `::`; `:=`; on PostgreSQL the bounds of array slices, `a[1:n]` (but `ARRAY[:a, :b]` has placeholders)
 * A question mark that is an operator of PostgreSQL (`?`, `?|`, `@?`) is written twice: `??`, `??|`, `@??`.
 */
import { DbBind, DbPlaceholder, DbTransactionControl } from '../errors.ts'
import { Cache } from './cache.ts'
import type { Params, Parser, Query, Script, Value } from './types.ts'

/** How an engine lexes and numbers. */
export interface Dialect {
  /** All tokens in which, or by which, something can happen; everything else is passed over. Must be global. */
  readonly tokens: RegExp
  readonly nestedComments: boolean
  /** The engine's own placeholder for the value at `index` (from 1), `name` without its colon for ':name'. */
  readonly placeholder: (index: number, name: string | undefined) => string
}

const WORD = '[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*'
const SHARED = `"(?:[^"]|"")*"|--[^\\n]*|/\\*|\\$\\d+|${WORD}|::|:=|\\?\\?|\\?\\d*|:${WORD}|[;[\\]]`

/** Tokens of SQLite; SQL of PostgreSQL is lexed with `postgresTokens`. */
export const sqliteTokens = new RegExp(`'(?:[^']|'')*'|\`(?:[^\`]|\`\`)*\`|\\[[^\\]]*\\]|${SHARED}`, 'g')
export const postgresTokens = new RegExp(
  `(?<![\\w$])[eE]'(?:[^'\\\\]|\\\\[\\s\\S]|'')*'|'(?:[^']|'')*'|\\$(${WORD.replace('$', '')})?\\$[\\s\\S]*?\\$\\1\\$|${SHARED}`, 'g')

/** Sent by the transaction layer alone. */
const TRANSACTION_CONTROL = new Set(['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'SAVEPOINT', 'RELEASE'])

/** Calls `visit` with each token outside of strings, quoted identifiers and comments, and its position. */
function scan (sql: string, dialect: Dialect, visit: (token: string, start: number) => void): void {
  const tokens = new RegExp(dialect.tokens)
  for (let match = tokens.exec(sql); match !== null; match = tokens.exec(sql)) {
    const token = match[0]
    if (token === '/*') tokens.lastIndex = commentEnd(sql, match.index, dialect.nestedComments)
    else if (!isOpaque(token)) visit(token, match.index)
  }
}

/** Strings, quoted identifiers and comments; a lone bracket is not. */
function isOpaque (token: string): boolean {
  if (token === '[' || token === ']') return false
  return /^(?:[eE]?'|["`[]|--|\$(?!\d))/.test(token)
}

function commentEnd (sql: string, start: number, nested: boolean): number {
  const marks = /\/\*|\*\//g
  marks.lastIndex = start + 2
  let depth = 1
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    if (mark[0] === '*/') depth--
    else if (nested) depth++
    if (depth === 0) return marks.lastIndex
  }
  return sql.length
}

/** The parser of an engine; remembers what it has read. */
export function createParser (dialect: Dialect): Parser {
  const queries = new Cache<string, Query>(500)
  return {
    parseQuery: sql => {
      let query = queries.get(sql)
      if (query === undefined) queries.set(sql, query = parseQuery(sql, dialect))
      return query
    },
    parseScript: sql => parseScript(sql, dialect)
  }
}

/** Throws `TDM_ERR_DB_PLACEHOLDER` for a mix of styles, `TDM_ERR_DB_TRANSACTION_CONTROL` for BEGIN and its like. */
export function parseQuery (sql: string, dialect: Dialect): Query {
  const reader = new QueryReader(sql, dialect)
  scan(sql, dialect, (token, start) => { reader.read(token, start) })
  const query = reader.finish()
  refuseTransactionControl(query.keyword)
  return query
}

/** Collects what `parseQuery` finds. */
class QueryReader {
  readonly #sql: string
  readonly #dialect: Dialect
  #text = ''
  #copied = 0
  #keyword = ''
  #words = 0
  #previous = ''
  #style: Query['style'] = 'none'
  #count = 0
  readonly #names: string[] = []
  /** For each open bracket: whether it is a subscript, where a colon separates the bounds of a slice. */
  readonly #subscripts: boolean[] = []

  constructor (sql: string, dialect: Dialect) {
    this.#sql = sql
    this.#dialect = dialect
  }

  read (token: string, start: number): void {
    const first = token[0]
    if (token === '??') this.#replace(token, start, '?')
    else if (first === '?') this.#positional(token, start)
    else if (first === '$') this.#numbered(token, start)
    else if (first === ':' && token.length > 1 && token !== '::' && token !== ':=') this.#named(token, start)
    else if (token === '[') this.#subscripts.push(!(this.#previous === 'ARRAY' || this.#subscripts.at(-1) === false))
    else if (token === ']') this.#subscripts.pop()
    this.#previous = token.toUpperCase()
    if (!/^\w/.test(token)) return
    if (this.#keyword === '') this.#keyword = this.#previous
    else if (this.#words === 1 && this.#keyword === 'PREPARE' && this.#previous === 'TRANSACTION') throw new DbTransactionControl('PREPARE TRANSACTION')
    this.#words++
  }

  finish (): Query {
    const text = this.#copied === 0 ? this.#sql : this.#text + this.#sql.slice(this.#copied)
    return Object.freeze({ sql: this.#sql, text, style: this.#style, count: this.#count, names: this.#names, keyword: this.#keyword })
  }

  #positional (token: string, start: number): void {
    if (token.length > 1) throw new DbPlaceholder(`"${token}" is not portable. Write "?" and pass the values in order, or ":name" and pass one object.`)
    this.#setStyle('positional', token)
    this.#count++
    this.#replace(token, start, this.#dialect.placeholder(this.#count, undefined))
  }

  #numbered (token: string, start: number): void {
    this.#setStyle('numbered', token)
    const index = Number(token.slice(1))
    if (index === 0) throw new DbPlaceholder('"$0" does not exist, the first value is "$1".')
    this.#count = Math.max(this.#count, index)
    this.#replace(token, start, this.#dialect.placeholder(index, String(index)))
  }

  #named (token: string, start: number): void {
    if (this.#subscripts.at(-1) === true) return
    this.#setStyle('named', token)
    const name = token.slice(1)
    if (!this.#names.includes(name)) this.#names.push(name)
    this.#count = this.#names.length
    this.#replace(token, start, this.#dialect.placeholder(this.#names.indexOf(name) + 1, name))
  }

  #setStyle (style: Query['style'], token: string): void {
    if (this.#style !== 'none' && this.#style !== style) throw new DbPlaceholder(`"${token}" is mixed with another style; use one of "?", "$1", ":name" throughout.`)
    this.#style = style
  }

  #replace (token: string, start: number, by: string): void {
    if (token === by) return
    this.#text += this.#sql.slice(this.#copied, start) + by
    this.#copied = start + token.length
  }
}

function refuseTransactionControl (keyword: string): void {
  if (TRANSACTION_CONTROL.has(keyword)) throw new DbTransactionControl(keyword)
}

/** Counts the statements. Throws `TDM_ERR_DB_TRANSACTION_CONTROL` if one of them is BEGIN or its like. */
export function parseScript (sql: string, dialect: Dialect): Script {
  let statements = 0
  let keyword = ''
  let previous = ''
  let depth = 0 // of BEGIN … END in the body of a trigger or function, and of CASE … END in it
  scan(sql, dialect, token => {
    if (token === ';' && depth === 0) keyword = ''
    if (!/^[A-Za-z_]/.test(token)) return
    const word = token.toUpperCase()
    if (keyword === '') {
      keyword = word
      statements++
      refuseTransactionControl(word)
    } else if (previous === 'PREPARE' && word === 'TRANSACTION') throw new DbTransactionControl('PREPARE TRANSACTION')
    else if (keyword === 'CREATE' && (word === 'BEGIN' || (depth > 0 && word === 'CASE'))) depth++
    else if (depth > 0 && word === 'END') depth--
    previous = word
  })
  return { sql, statements }
}

/**
 * The values in the order of the query's placeholders, each through the engine's `convert`, which answers undefined for what it cannot bind.
 * Throws `TDM_ERR_DB_BIND`, which names the position and what came, never the value.
 */
export function bindValues<T> (query: Query, params: Params, convert: (value: Value) => T | undefined): T[] {
  const values = query.style === 'named' ? namedValues(query, params) : params as readonly Value[]
  if (values.length !== query.count) throw new DbBind('list', `${query.count} value(s)`, String(values.length))
  const bound = new Array<T>(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = convert(values[i] as Value)
    if (value === undefined) throw new DbBind(positionOf(query, i), 'a number (not NaN), bigint of 64 bits, string, boolean, null, Uint8Array or valid Date', nameOfType(values[i]))
    bound[i] = value
  }
  return bound
}

function namedValues (query: Query, params: Params): Value[] {
  const [object] = params
  if (params.length !== 1 || object === null || typeof object !== 'object') throw new DbBind('list', `one object with ${query.names.join(', ')}`, `${params.length} value(s)`)
  const byName = object as Readonly<Record<string, Value>>
  const unknown = Object.keys(byName).find(name => !query.names.includes(name))
  if (unknown !== undefined) throw new DbBind(`:${unknown}`, `only ${query.names.join(', ')}`, 'a name that the statement does not have')
  return query.names.map(name => byName[name] as Value)
}

function positionOf (query: Query, index: number): string {
  return query.style === 'named' ? `:${query.names[index]}` : String(index + 1)
}

function nameOfType (value: unknown): string {
  if (value === null || typeof value !== 'object') return Number.isNaN(value) ? 'NaN' : typeof value
  if (value instanceof Date) return 'an invalid Date'
  return `a value of type ${value.constructor?.name ?? 'object'}`
}

/** Blobs and NULL as they are, a Date as ISO-8601 text in UTC; undefined for anything else. */
export function convertObject (value: Uint8Array | Date | null): Uint8Array | string | null | undefined {
  if (value === null || value instanceof Uint8Array) return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  return undefined
}

const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

/** True for a bigint that both engines can hold. */
export function isInt64 (value: bigint): boolean {
  return value >= MIN_INT64 && value <= MAX_INT64
}
