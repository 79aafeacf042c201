/** Which tables and columns are copied, in which order, and which of them together. Asks no database. */
import { CopySchema } from '../../errors.ts'
import { find } from './names.ts'
import { INDICES, RECORD } from './record.ts'
import type { ColumnPair, ForeignKey, Plan, Table } from './types.ts'

/** Of all tables of the source, or those with the given names. Throws `TDM_ERR_COPY_SCHEMA` for what the target has no place for. */
export function makePlans (sources: readonly Table[], targets: readonly Table[], names: readonly string[] | undefined): Plan[] {
  const chosen = choose(sources, names)
  const missing = chosen.flatMap(source => findMissing(source, find(targets, source.name)))
  if (missing.length > 0) throw new CopySchema(`the target has no ${missing.join(', no ')}. Bring both to one version, or say which tables to copy (--tables).`)
  const plans = chosen.map(source => {
    const target = find(targets, source.name) as Table
    return { source, target, columns: pairColumns(source, target) }
  })
  return inOrder(plans.map(({ target }) => target)).map(table => plans.find(({ target }) => target === table) as Plan)
}

/** All, or those with the given names. Not the record of the migrations: it says how that schema was made. */
function choose (sources: readonly Table[], names: readonly string[] | undefined): Table[] {
  const possible = sources.filter(({ name, hasRows }) => hasRows && !name.startsWith('tandem_migrations_') && name !== RECORD && name !== INDICES)
  if (names === undefined) return possible
  const unknown = names.filter(name => find(possible, name) === undefined)
  if (unknown.length > 0) throw new CopySchema(`the source has no table ${unknown.join(', ')} that can be copied.`)
  return [...new Set(names.map(name => find(possible, name) as Table))]
}

/** Tables of the source that have no rows of their own. */
export function findLeftOut (sources: readonly Table[]): string[] {
  return sources.filter(({ hasRows }) => !hasRows).map(({ name }) => name)
}

/** What has no place in the target: 'table a', or 'column b.c'. */
function findMissing (source: Table, target: Table | undefined): string[] {
  if (target?.hasRows !== true) return [`table ${source.name}`]
  return source.columns.filter(({ name, isGenerated }) => !isGenerated && find(target.columns, name) === undefined).map(({ name }) => `column ${source.name}.${name}`)
}

/** The columns of the target that are not computed there, and that the source has. */
function pairColumns (source: Table, target: Table): ColumnPair[] {
  return target.columns.filter(({ isGenerated }) => !isGenerated).flatMap(column => {
    const found = find(source.columns, column.name)
    return found === undefined ? [] : [{ source: found, target: column }]
  })
}

/** Parents before their children, as far as there is no cycle. */
export function inOrder (tables: readonly Table[]): Table[] {
  const ordered: Table[] = []
  const seen = new Set<Table>()
  const visit = (table: Table): void => {
    if (seen.has(table)) return
    seen.add(table)
    const parents = new Set(table.foreignKeys.map(({ parent }) => parent))
    for (const other of tables) if (parents.has(other.name)) visit(other)
    ordered.push(table)
  }
  tables.forEach(visit)
  return ordered
}

/** Those that can only be committed together stand together: the tables of a cycle of foreign keys, and what is between them. */
export function inUnits (plans: readonly Plan[]): Plan[][] {
  const units: Plan[][] = []
  let end = -1
  for (const [place, plan] of plans.entries()) {
    if (place > end) units.push([])
    units.at(-1)?.push(plan)
    const parents = plan.target.foreignKeys.map(({ parent }) => plans.findIndex(({ target }) => target.name === parent))
    end = Math.max(end, place, ...parents)
  }
  return units
}

/** True if its rows can be committed some at a time, and be taken up behind the last of them: each row finds what it points at, and there is a key to go by. */
export function hasSteps ([plan, ...others]: readonly Plan[]): boolean {
  return plan !== undefined && others.length === 0 && plan.source.key.length > 0 && findForwardKeys([plan.target]).length === 0
}

/** The keys that cannot hold before a whole table, or a later one, is there. */
export function findForwardKeys (tables: readonly Table[]): ForeignKey[] {
  return tables.flatMap(({ foreignKeys }, place) => foreignKeys.filter(({ parent }) => tables.findIndex(({ name }) => name === parent) >= place))
}

/** What is emptied must not take rows of other tables with it. */
export function refuseOutsiders (tables: readonly Table[], targets: readonly Table[]): void {
  const names = new Set(tables.map(({ name }) => name))
  const outside = targets.filter(({ name, foreignKeys }) => !names.has(name) && foreignKeys.some(({ parent }) => names.has(parent)))
  if (outside.length > 0) throw new CopySchema(`${outside.map(({ name }) => name).join(', ')} of the target would point at rows that are taken away. Copy them too.`)
}
