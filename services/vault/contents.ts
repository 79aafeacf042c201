/** Whole containers with what is in them. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toFlag, toNumber, toText } from '../common/columns.ts'
import { countSlots } from './container-names.ts'
import type { ContainerContent } from './schema.ts'

type Db = Pick<Database, 'prepare'>

export interface Content {
  readonly memberId: string
  readonly container: string
  readonly version: number
  /** Milliseconds since 1970, as the next. */
  readonly capturedAt: number
  readonly receivedAt: number
  readonly approximate: boolean
  /** Those that are not empty, by slot. */
  readonly stacks: ReadonlyArray<{ readonly slot: number, readonly itemId: number, readonly quantity: number }>
}

/** Containers of one member, or those that changed after a version. */
export type ContentsFilter = { readonly groupId: string } & ({ readonly memberId: string, readonly changedSince?: undefined } | { readonly changedSince: number })

/** Two statements: a container can be there and empty. */
export async function findContents (db: Db, filter: ContentsFilter): Promise<Content[]> {
  const [condition, value] = filter.changedSince === undefined ? ['containers.member_id = ?', filter.memberId] as const : ['containers.version > ?', filter.changedSince] as const
  const containers = await db.prepare(`
    SELECT member_id, container, version, captured_at, received_at, approximate FROM containers
    WHERE group_id = ? AND ${condition} ORDER BY member_id, container`).all(filter.groupId, value)
  const items = await db.prepare(`
    SELECT container_items.member_id, container_items.container, container_items.slot, container_items.item_id, container_items.quantity
    FROM containers JOIN container_items ON container_items.member_id = containers.member_id AND container_items.container = containers.container
    WHERE containers.group_id = ? AND ${condition} ORDER BY container_items.member_id, container_items.container, container_items.slot`).all(filter.groupId, value)
  const byContainer = Map.groupBy(items, nameOf)
  return containers.map(row => toContent(row, byContainer.get(nameOf(row)) ?? []))
}

function nameOf (row: Row): string {
  return `${toText(row.member_id)} ${toText(row.container)}`
}

function toContent (row: Row, items: readonly Row[]): Content {
  return {
    memberId: toText(row.member_id),
    container: toText(row.container),
    version: toNumber(row.version),
    capturedAt: toNumber(row.captured_at),
    receivedAt: toNumber(row.received_at),
    approximate: toFlag(row.approximate),
    stacks: items.map(({ slot, item_id: itemId, quantity }) => ({ slot: toNumber(slot), itemId: toNumber(itemId), quantity: toNumber(quantity) }))
  }
}

/** With the empty slots, where the place matters. */
export function toSlots ({ container, version, capturedAt, receivedAt, approximate, stacks }: Content): ContainerContent {
  const bySlot = new Map(stacks.map(({ slot, itemId, quantity }) => [slot, { itemId, quantity }]))
  const size = countSlots(container)
  return {
    version,
    capturedAt: new Date(capturedAt).toISOString(),
    receivedAt: new Date(receivedAt).toISOString(),
    approximate,
    slots: size === undefined ? Array.from(bySlot.values()) : Array.from({ length: size }, (_, slot) => bySlot.get(slot) ?? null)
  }
}
