/** What a plugin is told of where it belongs, and what others see of its player. Store: no Fastify. */
import { toNumber, toText, toTextOrNull } from '../../common/columns.ts'
import type { Device, Presence } from '../../groups/lookups.ts'
import { tellGroup } from '../../groups/lock.ts'
import { findFeatures, type Features } from '../../ops/features.ts'
import type { Db, Writer } from './place.ts'

export interface Standing {
  readonly member: { readonly id: string, readonly displayName: string, readonly characterName: string | null }
  readonly group: { readonly id: string, readonly name: string, readonly version: number }
  readonly epoch: number
  readonly features: Features
}

const find = `
  SELECT members.display_name, members.character_name, members.sync_epoch, groups.name, groups.version, groups.plan
  FROM members JOIN groups ON groups.id = members.group_id WHERE members.id = ?`

export async function getStanding (db: Db, { groupId, memberId }: Pick<Writer, 'groupId' | 'memberId'>): Promise<Standing> {
  const row = await db.prepare(find).get(memberId)
  return {
    member: { id: memberId, displayName: toText(row?.display_name), characterName: toTextOrNull(row?.character_name ?? null) },
    group: { id: groupId, name: toText(row?.name), version: toNumber(row?.version) },
    epoch: toNumber(row?.sync_epoch),
    features: await findFeatures(db, { groupId, plan: toText(row?.plan) })
  }
}

/** A plugin that was updated says so. */
export async function notePluginVersion (db: Db, tokenId: string, version: string): Promise<void> {
  await db.prepare('UPDATE plugin_tokens SET plugin_version = ? WHERE id = ? AND plugin_version <> ?').run(version, tokenId, version)
}

/** Presence is written at most so often. */
export const PRESENCE_MS = 15_000
/** Who was not seen for so long is away. */
export const AWAY_MS = 5 * 60_000

const touch = `
  UPDATE members SET last_seen_at = :now, last_world = :world, last_activity = :activity
  WHERE id = :member AND left_at IS NULL AND (last_seen_at IS NULL OR last_seen_at <= :before)`

/** Others are told if they see a difference: somebody who was away, another world, another activity. */
export async function touchPresence (db: Db, { groupId, memberId, userId, presence }: Pick<Device, 'groupId' | 'memberId' | 'userId' | 'presence'>, { world, activity }: Pick<Presence, 'world' | 'activity'>, now: number): Promise<void> {
  const before = now - PRESENCE_MS
  if (presence.seenAt !== null && presence.seenAt > before) return
  const { changes } = await db.prepare(touch).run({ now, world, activity, member: memberId, before })
  const wasAway = presence.seenAt === null || presence.seenAt <= now - AWAY_MS
  if (changes > 0 && (wasAway || presence.world !== world || presence.activity !== activity)) await tellGroup(db, { groupId, kind: 'presence', memberId, userId })
}
