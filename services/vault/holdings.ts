/**
 * What the members of a group have, summed by the database: by item for all of it, by holder for the items of a page.
 *
 * What is kept true: only what current members and the shared storage have counts. Doses of potions are rows of their own.
 */
import type { Database, Row, Value } from '../../plugins/db/types.ts'
import { toFlag, toNumber, toText } from '../common/columns.ts'
import { DOSES, type ContainerName } from './container-names.ts'

type Db = Pick<Database, 'prepare'>

/** Empty: all. */
export interface HoldingsFilter {
  readonly groupId: string
  readonly members: readonly string[]
  readonly containers: readonly ContainerName[]
  readonly showDoses: boolean
}

export interface Holding { readonly itemId: number, readonly isDose: boolean, readonly quantity: number }

export interface Held extends Holding {
  readonly memberId: string
  readonly container: string
  readonly slots: number
  readonly approximate: boolean
  /** Milliseconds since 1970. */
  readonly capturedAt: number
}

/** In the order of ids. The group is by item alone, so that the index has the order and nothing is sorted. */
export async function sumHoldings (db: Db, filter: HoldingsFilter): Promise<Holding[]> {
  const { sql, values } = toCondition(filter)
  const rows = await db.prepare(`
    SELECT item_id, CAST(SUM(CASE WHEN container = '${DOSES}' THEN 0 ELSE quantity END) AS BIGINT) AS items,
      CAST(SUM(CASE WHEN container = '${DOSES}' THEN quantity ELSE 0 END) AS BIGINT) AS doses
    FROM container_items WHERE ${sql} GROUP BY item_id ORDER BY item_id`).all(...values)
  return rows.flatMap(toHoldings)
}

function toHoldings (row: Row): Holding[] {
  const [itemId, items, doses] = [toNumber(row.item_id), toNumber(row.items), toNumber(row.doses)]
  const ofItems = { itemId, isDose: false, quantity: items }
  const ofDoses = { itemId, isDose: true, quantity: doses }
  return doses === 0 ? [ofItems] : items === 0 ? [ofDoses] : [ofItems, ofDoses]
}

/** Who has these items, and where. `itemIds`: at least one. */
export async function findHolders (db: Db, filter: HoldingsFilter, itemIds: readonly number[]): Promise<Held[]> {
  const { sql, values } = toCondition(filter, 'container_items.')
  const rows = await db.prepare(`
    SELECT container_items.item_id, CAST(SUM(container_items.quantity) AS BIGINT) AS quantity,
      container_items.member_id, container_items.container, COUNT(*) AS slots, containers.approximate, containers.captured_at
    FROM container_items JOIN containers ON containers.member_id = container_items.member_id AND containers.container = container_items.container
    WHERE ${sql} AND container_items.item_id IN (${marks(itemIds)})
    GROUP BY container_items.item_id, container_items.member_id, container_items.container, containers.approximate, containers.captured_at
    ORDER BY container_items.item_id, container_items.member_id, container_items.container`).all(...values, ...itemIds)
  return rows.map(toHeld)
}

function toHeld (row: Row): Held {
  return {
    itemId: toNumber(row.item_id),
    isDose: row.container === DOSES,
    quantity: toNumber(row.quantity),
    memberId: toText(row.member_id),
    container: toText(row.container),
    slots: toNumber(row.slots),
    approximate: toFlag(row.approximate),
    capturedAt: toNumber(row.captured_at)
  }
}

function toCondition ({ groupId, members, containers, showDoses }: HoldingsFilter, table = ''): { sql: string, values: Value[] } {
  const parts = [`${table}group_id = ?`, `${table}member_id IN (SELECT id FROM members WHERE group_id = ? AND left_at IS NULL)`]
  if (members.length > 0) parts.push(`${table}member_id IN (${marks(members)})`)
  if (containers.length > 0) parts.push(`${table}container IN (${marks(containers)})`)
  else if (!showDoses) parts.push(`${table}container <> '${DOSES}'`)
  return { sql: parts.join(' AND '), values: [groupId, groupId, ...members, ...containers] }
}

function marks (values: readonly unknown[]): string {
  return values.map(() => '?').join(', ')
}
