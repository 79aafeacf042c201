/**
 * What every look at a vault begins with, in one statement: version, members, and which catalog is in force. From that alone follows whether an answer is still the one that
 * a client has.
 */
import { createHash } from 'node:crypto'
import type { Database, Row } from '../../plugins/db/types.ts'
import type { CatalogPointer } from '../catalog/catalog.ts'
import { pointerColumns, toPointer } from '../catalog/load.ts'
import { toNumber, toNumberOrNull, toText } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import type { VaultMember } from './schema.ts'

type Db = Pick<Database, 'prepare'>

/**
 * Of every transaction in which a vault is read: all statements see one moment. Also the `config.tx` of the routes that call these stores.
 */
export const oneMoment = { mode: 'read', isolation: 'repeatable read' } as const

export interface VaultHead {
  readonly groupId: string
  readonly version: number
  readonly pointer: CatalogPointer
  readonly showDoses: boolean
  readonly staleAfterMs: number
  readonly members: readonly HeadMember[]
}

interface HeadMember extends Pick<VaultMember, 'memberId' | 'displayName' | 'kind' | 'color'> { readonly lastSyncAt: number | null }

const head = `
  SELECT groups.version, groups.settings, members.id, members.display_name, members.kind, members.color, members.last_sync_at, ${pointerColumns}
  FROM groups JOIN members ON members.group_id = groups.id AND members.left_at IS NULL
  WHERE groups.id = ? AND groups.deleted_at IS NULL
  ORDER BY CASE WHEN members.kind = 'shared' THEN 1 ELSE 0 END, members.joined_at, members.id`

/** Throws `NOT_FOUND`. */
export async function readHead (db: Db, groupId: string): Promise<VaultHead> {
  const rows = await db.prepare(head).all(groupId)
  const [first] = rows
  if (first === undefined) throw new NotFound('group')
  const { showPotionStorage = true, staleAfterMinutes = 1440 } = JSON.parse(toText(first.settings)) as { showPotionStorage?: boolean, staleAfterMinutes?: number }
  return {
    groupId,
    version: toNumber(first.version),
    pointer: toPointer(first),
    showDoses: showPotionStorage,
    staleAfterMs: staleAfterMinutes * 60_000,
    members: rows.map(toMember)
  }
}

function toMember (row: Row): HeadMember {
  return {
    memberId: toText(row.id),
    displayName: toText(row.display_name),
    kind: toText(row.kind) as HeadMember['kind'],
    color: toNumber(row.color),
    lastSyncAt: toNumberOrNull(row.last_sync_at)
  }
}

export function describeMembers ({ members, staleAfterMs }: VaultHead, now: number): VaultMember[] {
  return members.map(({ lastSyncAt, ...member }) => ({
    ...member,
    lastSyncAt: lastSyncAt === null ? null : new Date(lastSyncAt).toISOString(),
    stale: isStale(lastSyncAt, staleAfterMs, now)
  }))
}

/** Who has never synced is not stale: there is nothing to distrust. */
function isStale (lastSyncAt: number | null, staleAfterMs: number, now: number): boolean {
  return lastSyncAt !== null && now - lastSyncAt > staleAfterMs
}

/**
 * The same for the same holdings, names, prices and query. Weak: when somebody synced last is not in it, only whether that is too long ago.
 */
export function etagOf (head: VaultHead, query: object, now: number): string {
  const { groupId, version, pointer, members, staleAfterMs } = head
  const stale = members.filter(({ lastSyncAt }) => isStale(lastSyncAt, staleAfterMs, now)).map(({ memberId }) => memberId)
  const parts = [groupId, version, pointer.version, pointer.pricesKey, stale, Object.entries(query).sort(([a], [b]) => a < b ? -1 : 1)]
  return `W/"${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 27)}"`
}
