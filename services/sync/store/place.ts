/**
 * The place of whoever reports: the lock of the group first, then the row of the member, and what they say now. What the hook of the route has seen may be over.
 * Store: no Fastify.
 */
import type { Database, Row } from '../../../plugins/db/types.ts'
import { toNumber, toNumberOrNull } from '../../common/columns.ts'
import { NotFound, TokenRevoked } from '../../common/errors.ts'
import type { Device } from '../../groups/lookups.ts'
import { lockGroup } from '../../groups/lock.ts'
import { EpochUnknown } from '../errors.ts'

export type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export type Writer = Pick<Device, 'groupId' | 'memberId' | 'tokenId'>

/** Where a report belongs among those of its member: later ones are greater. */
export interface Moment {
  /** Issued by the server, one for each start of a plugin. */
  readonly epoch: number
  /** Counted up by the plugin, one for each request. */
  readonly seq: number
}

export interface Place {
  readonly version: number
  readonly epoch: number
  /** How far the plugin's clock is ahead. */
  readonly clockOffsetMs: number
}

const lockMemberSql = `
  UPDATE members SET last_sync_at = :now WHERE id = :member AND left_at IS NULL AND EXISTS (SELECT 1 FROM plugin_tokens WHERE id = :token AND revoked_at IS NULL)
  RETURNING sync_epoch, clock_offset_ms`

/**
 * Runs `fn` in a transaction that has the locks of the group and the member. Throws `TOKEN_REVOKED` if one of them, or the token, is gone. `isLarge`: it will write hundreds of
 * rows.
 */
export async function inPlace<T> (db: Db, writer: Writer, now: number, fn: (place: Place) => Promise<T>, { isLarge = false } = {}): Promise<T> {
  return await db.tx(async () => await fn(await takePlace(db, writer, now, { isLarge })), { retry: 2 })
}

/** The locks of the group and the member, in this order, asked for when this is called: what is asked behind it, without waiting, has them. Inside a transaction only. */
export async function takePlace (db: Db, writer: Writer, now: number, { isLarge = false } = {}): Promise<Place> {
  const [group, member] = await Promise.all([lockGroupOf(db, writer, now, isLarge), lockMember(db, writer, now)])
  return { version: toNumber(group.version), ...member }
}

/** The row of the member is the lock of what only this member reports. Inside a transaction only. Throws `TOKEN_REVOKED`. */
export async function lockMember (db: Db, { memberId, tokenId }: Writer, now: number): Promise<Pick<Place, 'epoch' | 'clockOffsetMs'>> {
  const row = await db.prepare(lockMemberSql).get({ now, member: memberId, token: tokenId })
  if (row === undefined) throw new TokenRevoked()
  return { epoch: toNumber(row.sync_epoch), clockOffsetMs: toNumberOrNull(row.clock_offset_ms) ?? 0 }
}

async function lockGroupOf (db: Db, { groupId }: Writer, now: number, isLarge: boolean): Promise<Row> {
  try {
    return await lockGroup(db, groupId, now, { isLarge })
  } catch (error) {
    throw error instanceof NotFound ? new TokenRevoked() : error
  }
}

/** Throws `EPOCH_UNKNOWN`. */
export function checkEpoch ({ epoch }: Moment, issued: number): void {
  if (epoch > issued) throw new EpochUnknown(epoch)
}

export function isAfter (a: Moment, b: Moment): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq)
}

export async function findSharedMember (db: Db, groupId: string): Promise<string> {
  const row = await db.prepare(`SELECT id FROM members WHERE group_id = ? AND kind = 'shared'`).get(groupId)
  return String(row?.id)
}
