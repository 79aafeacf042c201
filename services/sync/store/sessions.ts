/**
 * A plugin starts (T9): its member gets a larger epoch, so that what an earlier start still has under way is late. Store: no Fastify.
 *
 * What is kept true: two plugins never have one epoch. A member stands for one account of the game. Whoever plays that account may change its name; a plugin that was paired
 * for another one is refused.
 */
import { toNumber, toNumberOrNull, toTextOrNull } from '../../common/columns.ts'
import { normalizeName } from '../../common/names.ts'
import { bumpGroupVersion } from '../../groups/lock.ts'
import { CharacterMismatch } from '../errors.ts'
import { inPlace, type Db, type Writer } from './place.ts'

export interface NewSession {
  /** A signed 64-bit number, as text. */
  readonly accountHash: string
  readonly characterName: string
  /** Milliseconds since 1970, on the clock of the plugin. */
  readonly clientTime: number
}

const find = `SELECT account_hash, character_name, character_norm FROM members WHERE id = ?`

const others = `
  SELECT COUNT(*) AS count FROM members WHERE group_id = :group AND id <> :member AND left_at IS NULL AND (account_hash = :account OR character_norm = :norm)`

const open = `
  UPDATE members SET sync_epoch = sync_epoch + 1, clock_offset_ms = :offset, account_hash = :account, character_name = :name, character_norm = :norm WHERE id = :member RETURNING sync_epoch`

/** Throws `TOKEN_REVOKED`, `CHARACTER_MISMATCH`. */
export async function openSyncSession (db: Db, writer: Writer, { accountHash, characterName, clientTime }: NewSession, now: number): Promise<{ epoch: number, renamed: boolean }> {
  return await inPlace(db, writer, now, async () => {
    const norm = normalizeName(characterName)
    const member = await db.prepare(find).get(writer.memberId)
    const [account, name, before] = [toTextOrNull(member?.account_hash ?? null), toTextOrNull(member?.character_name ?? null), toTextOrNull(member?.character_norm ?? null)]
    const isKnown = account === accountHash
    if (!isKnown && (account !== null || (before !== null && before !== norm))) throw new CharacterMismatch()
    const { count } = await db.prepare(others).get({ group: writer.groupId, member: writer.memberId, account: accountHash, norm }) ?? {}
    if (toNumber(count) > 0) throw new CharacterMismatch()
    const row = await db.prepare(open).get({ offset: clientTime - now, account: accountHash, name: characterName, norm, member: writer.memberId })
    const renamed = name !== characterName
    if (renamed) await bumpGroupVersion(db, writer.groupId, [{ kind: 'roster', memberId: writer.memberId }], now)
    return { epoch: toNumber(row?.sync_epoch), renamed }
  })
}

export interface SyncState {
  readonly epoch: number
  readonly containers: Readonly<Record<string, { readonly epoch: number, readonly seq: number, readonly hash: string, readonly capturedAt: number }>>
}

const listState = `
  SELECT containers.container, containers.content_hash, containers.captured_at, sync_marks.epoch, sync_marks.seq
  FROM containers LEFT JOIN sync_marks ON sync_marks.owner_member_id = containers.member_id AND sync_marks.container = containers.container AND sync_marks.writer_member_id = :member
  WHERE containers.member_id = :member OR containers.member_id = (SELECT id FROM members WHERE group_id = :group AND kind = 'shared')
  ORDER BY containers.container`

/** What a plugin that starts again need not send. A container that another member, or another way, has reported has the epoch and number 0. */
export async function getSyncState (db: Db, { groupId, memberId }: Pick<Writer, 'groupId' | 'memberId'>): Promise<SyncState> {
  const [member, rows] = await Promise.all([
    db.prepare('SELECT sync_epoch FROM members WHERE id = ?').get(memberId),
    db.prepare(listState).all({ member: memberId, group: groupId })
  ])
  const containers = rows.map(row => [String(row.container), {
    epoch: toNumberOrNull(row.epoch) ?? 0, seq: toNumberOrNull(row.seq) ?? 0, hash: String(row.content_hash), capturedAt: toNumber(row.captured_at)
  }] as const)
  return { epoch: toNumber(member?.sync_epoch), containers: Object.fromEntries(containers) }
}
