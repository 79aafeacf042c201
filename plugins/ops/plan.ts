/**
 * How the database would run a statement, and what in that makes it slow.
 *
 * Kept true: the statement is not run, only planned; no value is needed for that, and none is in the plan that is answered.
 *
 * SQLite: EXPLAIN QUERY PLAN, with NULL for each placeholder, of which the plan does not depend.
 * PostgreSQL from 16 on: EXPLAIN (GENERIC_PLAN). The extended protocol would want values and make a plan for these (for NULL that there is nothing to do), so it is EXECUTEd
 * by plpgsql, which has none to give. Older servers, and statements that have no plan: undefined.
 */
import { parseQuery, postgresTokens, sqliteTokens, type Dialect } from '../db/sql.ts'
import type { Database, Query } from '../db/types.ts'
import { redact } from './fingerprint.ts'

export interface Plan {
  /** A line a step, indented by what it is part of. */
  readonly steps: readonly string[]
  /** What makes it slow, and what could be done; a sentence each, the likeliest first. */
  readonly hints: readonly string[]
}

/** As much of EXPLAIN's JSON as is looked at (https://www.postgresql.org/docs/18/sql-explain.html). */
interface Node {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Total Cost': number
  readonly 'Plan Rows': number
  readonly 'Plan Width': number
  readonly 'Sort Key'?: readonly string[]
  readonly 'Filter'?: string
  readonly 'Index Cond'?: string
  readonly 'Hash Cond'?: string
  readonly 'Plans'?: readonly Node[]
}

const MOST_HINTS = 4
/** Of the whole cost: a scan that is less is not what makes the statement slow. */
const MUCH = 0.1
const PLANNED = /^(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|REPLACE|MERGE|TABLE)$/
const GENERIC_PLAN_FROM = 160_000

const dialects: Readonly<Record<Database['engine'], Dialect>> = {
  sqlite: { tokens: sqliteTokens, nestedComments: false, placeholder: () => '?' },
  postgres: { tokens: postgresTokens, nestedComments: true, placeholder: index => `$${index}` }
}

/** Undefined: it has none, or the server is too old. Throws what the database throws. */
export async function explain (db: Database, sql: string): Promise<Plan | undefined> {
  const query = parseQuery(sql, dialects[db.engine])
  if (!PLANNED.test(query.keyword)) return undefined
  return db.engine === 'sqlite' ? await explainSqlite(db, query) : await explainPostgres(db, query)
}

// --- SQLite ------------------------------------------------------------------------------------------------------------------

async function explainSqlite (db: Database, { sql, style, names, count }: Query): Promise<Plan> {
  const values = style === 'named' ? [Object.fromEntries(names.map(name => [name, null]))] as const : new Array<null>(count).fill(null)
  const rows = await db.prepare<{ id: number, parent: number, detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values)
  const depths = new Map([[0, -1]])
  for (const { id, parent } of rows) depths.set(id, (depths.get(parent) ?? -1) + 1)
  const steps = rows.map(({ id, detail }) => '  '.repeat(depths.get(id) ?? 0) + redact(detail))
  return { steps, hints: hintsOfSqlite(rows.map(({ detail }) => detail), redact(sql)) }
}

function hintsOfSqlite (details: readonly string[], sql: string): string[] {
  const made = new Set(details.map(detail => /^(?:CO-ROUTINE|MATERIALIZE) (\S+)/.exec(detail)?.[1]))
  const hints = details.map(detail => {
    const [, alias = '', index] = /^SCAN (?!CONSTANT|\d+-ROW VALUES|\()(\S+)(?: USING (?:COVERING )?INDEX (\S+))?/.exec(detail) ?? []
    if (alias !== '' && !made.has(alias)) return aboutScan(tableOf(alias, sql), conditionColumns(sql, alias), index)
    const [, automatic = '', columns = ''] = /^SEARCH (\S+) USING AUTOMATIC (?:PARTIAL )?(?:COVERING )?INDEX \((.*)\)/.exec(detail) ?? []
    if (automatic !== '') return `An index on ${tableOf(automatic, sql)} (${columns.replaceAll('=?', '').replaceAll(' AND ', ', ')}) is made anew each time it runs: create one.`
    const [, clause = ''] = /^USE TEMP B-TREE FOR (.*)/.exec(detail) ?? []
    return clause === '' ? undefined : aboutTree(clause, sql)
  })
  return distinct(hints)
}

function aboutTree (clause: string, sql: string): string {
  const columns = columnsOf(clause.replace(/^.*?(ORDER BY|GROUP BY|DISTINCT)$/, '$1'), sql)
  const by = columns.length === 0 ? '' : ` (${columns.join(', ')})`
  return `The rows are collected and sorted for ${clause}${by} before the first one is answered: an index that has them in this order would do without.`
}

// --- PostgreSQL ----------------------------------------------------------------------------------------------------------------

async function explainPostgres (db: Database, { sql, text }: Query): Promise<Plan | undefined> {
  if ((db.status().postgres?.version ?? 0) < GENERIC_PLAN_FROM) return undefined
  const row = await db.tx(async tx => {
    await tx.exec(planInto(text))
    return await tx.prepare<{ plan: string, memory: number }>('SELECT current_setting(\'tandem.plan\') AS plan, pg_size_bytes(current_setting(\'work_mem\')) AS memory').get()
  }, { mode: 'read', propagation: 'new' })
  const [root] = JSON.parse(row?.plan ?? '[]') as Array<{ Plan: Node }>
  if (row === undefined || root === undefined) return undefined
  return { steps: stepsOf(root.Plan, 0), hints: distinct(hintsOf(root.Plan, root.Plan['Total Cost'], row.memory, redact(sql))) }
}

/** The setting ends with the transaction, so the connection can be used again: the quotes keep the engine from taking it for one that stays. */
function planInto (text: string): string {
  const [outer, inner] = [freeTag(text, 'do'), freeTag(text, 'sql')]
  return `DO ${outer} DECLARE plan json; BEGIN EXECUTE ${inner}EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}${inner} INTO plan; PERFORM "set_config"('tandem.plan', plan::text, true); END ${outer}`
}

function freeTag (text: string, name: string): string {
  let tag = `$tandem_${name}$`
  for (let i = 0; text.includes(tag); i++) tag = `$tandem_${name}${i}$`
  return tag
}

function stepsOf (node: Node, depth: number): string[] {
  const on = [node['Index Name'], node['Relation Name']].filter(name => name !== undefined).join(' on ')
  const conditions = [node['Index Cond'], node['Hash Cond'], node.Filter, node['Sort Key']?.join(', ')].filter(text => text !== undefined).map(redact)
  const line = `${'  '.repeat(depth)}${node['Node Type']}${on === '' ? '' : ` on ${on}`} (cost ${Math.round(node['Total Cost'])}, rows ${node['Plan Rows']})${conditions.length === 0 ? '' : `: ${conditions.join('; ')}`}`
  return [line, ...(node.Plans ?? []).flatMap(child => stepsOf(child, depth + 1))]
}

function hintsOf (node: Node, whole: number, memory: number, sql: string): Array<string | undefined> {
  const own = hintOf(node, whole, memory, sql)
  return [own, ...(node.Plans ?? []).flatMap(child => hintsOf(child, whole, memory, sql))]
}

function hintOf (node: Node, whole: number, memory: number, sql: string): string | undefined {
  const table = node['Relation Name']
  if (node['Node Type'].endsWith('Seq Scan') && table !== undefined && node['Total Cost'] >= whole * MUCH) {
    const columns = namesIn(redact(node.Filter ?? '').replace(/::[\w ]+(?:\[\])?/g, ''))
    return aboutScan(table, columns.length > 0 ? columns : conditionColumns(sql, table), undefined)
  }
  const bytes = node['Plan Rows'] * node['Plan Width']
  if (!node['Node Type'].endsWith('Sort') || bytes <= memory) return undefined
  return `A sort by ${redact((node['Sort Key'] ?? []).join(', '))} of about ${Math.round(bytes / 1e6)} MB goes to files, since work_mem is ${Math.round(memory / 1e6)} MB: an index in this order would do without.`
}

// --- words -----------------------------------------------------------------------------------------------------------------------

function aboutScan (table: string, columns: readonly string[], index: string | undefined): string {
  const what = index === undefined ? `All rows of ${table} are read` : `All of the index ${index} of ${table} is read`
  if (columns.length === 0) return `${what}: there is no condition on it that an index could serve.`
  return `${what}: no index serves the condition on ${columns.join(', ')}. Try one on ${table} (${columns.join(', ')}).`
}

function distinct (hints: ReadonlyArray<string | undefined>): string[] {
  return [...new Set(hints.filter(hint => hint !== undefined))].slice(0, MOST_HINTS)
}

/** What the plan calls `alias`. */
function tableOf (alias: string, sql: string): string {
  const name = alias.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const [, table = alias] = new RegExp(`\\b(?:FROM|JOIN|UPDATE|INTO|,)\\s*([\\w.]+|"[^"]+")\\s+(?:AS\\s+)?${name}\\b`, 'i').exec(sql) ?? []
  return table
}

/** The columns that the text compares with something, in its order: those of `alias`, and those that do not say whose they are. */
function conditionColumns (sql: string, alias: string): string[] {
  const conditions = sql.replace(/^[\s\S]*?\b(?:WHERE|ON)\b/i, '')
  if (conditions === sql) return []
  const columns = [...conditions.matchAll(/((?:[A-Za-z_]\w*\.)?[A-Za-z_]\w*)\s*(?:[<>=!]=?|<>|\bIN\b|\bLIKE\b|\bIS\b|\bBETWEEN\b)/gi)].map(([, column = '']) => column)
  const own = columns.filter(column => !column.includes('.') || column.toLowerCase().startsWith(`${alias.toLowerCase()}.`)).map(column => column.replace(/^.*\./, ''))
  return [...new Set(own.filter(isName))]
}

/** The columns of ORDER BY or GROUP BY. */
function columnsOf (clause: string, sql: string): string[] {
  const [, list = ''] = new RegExp(`\\b${clause}\\b([^()]*?)(?:\\b(?:LIMIT|OFFSET|HAVING|ORDER|WINDOW)\\b|\\)|;|$)`, 'i').exec(sql) ?? []
  return list.split(',').map(text => text.trim()).filter(text => /^[\w.]+(?: (?:ASC|DESC))?$/i.test(text))
}

function namesIn (condition: string): string[] {
  return [...new Set([...condition.matchAll(/(?<![\w$."])([A-Za-z_]\w*)\b(?!\s*[(.])/g)].map(([, name = '']) => name).filter(isName))]
}

function isName (word: string): boolean {
  return !/^(?:AND|OR|NOT|IN|IS|NULL|TRUE|FALSE|LIKE|ANY|ALL|BETWEEN|CASE|WHEN|THEN|ELSE|END|EXISTS|SELECT|WHERE|ON)$/i.test(word)
}
