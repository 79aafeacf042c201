/** What items are called, for those who are told of them and have no catalog. As of the event. */
import type { Database } from '../../plugins/db/types.ts'
import { toText } from '../common/columns.ts'

interface Named { readonly itemId: number, readonly name?: unknown }
type Data = Readonly<Record<string, unknown>>

const find = `
  SELECT catalog_items.name FROM catalog_active JOIN catalog_items ON catalog_items.snapshot_id = catalog_active.snapshot_id
  WHERE catalog_items.item_id = ?`

/** The same with a `name` beside each `itemId` of its lists that has none. One that is in no catalog is `Item #4151`. */
export async function nameItems (db: Pick<Database, 'prepare'>, data: Data): Promise<Data> {
  const ids = new Set(Object.values(data).flatMap(value => Array.isArray(value) ? value.filter(isNameless).map(({ itemId }) => itemId) : []))
  if (ids.size === 0) return data
  const statement = db.prepare(find)
  const names = new Map(await Promise.all([...ids].map(async id => [id, await statement.get(id)] as const)))
  const nameOf = (id: number): string => {
    const row = names.get(id)
    return row === undefined ? `Item #${id}` : toText(row.name)
  }
  const named = (value: unknown): unknown => isNameless(value) ? { ...value, name: nameOf(value.itemId) } : value
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Array.isArray(value) ? value.map(named) : value]))
}

function isNameless (value: unknown): value is Named {
  return typeof value === 'object' && value !== null && 'itemId' in value && Number.isSafeInteger(value.itemId) && !('name' in value)
}
