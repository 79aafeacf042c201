/** Is what a source sent a catalog at all? What an upstream fault looks like: half a list, an id twice, other names. */
import type { Catalog } from './catalog.ts'
import type { NewItem } from './install.ts'

const FEWEST = 0.8
const MOST_RENAMED = 0.02

/** Why not; [] if nothing speaks against it. `isSameSource`: what is in force came from there, too; of another one names may differ. */
export function suspect (items: readonly NewItem[], active: Catalog, { isSameSource }: { isSameSource: boolean }): string[] {
  const current = active.sorted.length
  const ids = new Set(items.map(({ itemId }) => itemId))
  const nameless = items.filter(({ name }) => name === '').length
  const renamed = items.filter(({ itemId, name }) => name !== (active.find(itemId)?.name ?? name)).length
  return [
    ...(items.length === 0 ? ['there are no items'] : []),
    ...(items.length < current * FEWEST ? [`there are ${items.length} items, where there were ${current}`] : []),
    ...(ids.size < items.length ? [`${items.length - ids.size} ids are there twice`] : []),
    ...(nameless > 0 ? [`${nameless} items have no name`] : []),
    ...(isSameSource && renamed > current * MOST_RENAMED ? [`${renamed} items have another name than before`] : [])
  ]
}

/** What would be another with these. */
export function compare (items: readonly NewItem[], active: Catalog): { added: number, removed: number, changed: number } {
  const known = items.flatMap(item => {
    const old = active.find(item.itemId)
    return old === undefined ? [] : [{ item, old }]
  })
  const fields = ['name', 'examine', 'members', 'value', 'lowAlch', 'highAlch', 'buyLimit', 'iconKey', 'tradeable'] as const
  return {
    added: items.length - known.length,
    removed: active.sorted.length - known.length,
    changed: known.filter(({ item, old }) => fields.some(field => item[field] !== old[field])).length
  }
}
