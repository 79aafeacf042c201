/**
 * How a plugin gets its token: the device flow of RFC 8628. The plugin shows a code, its player confirms that in the browser, the plugin asks until it is answered.
 *
 * What is kept true: a code is answered once (T7), by a member of the group, in the commit that checks it; and a token is handed out once (T8), to a member of that moment.
 * What is kept of the device code is its hash. Store: no Fastify.
 */
import type { Row } from '../../../plugins/db/types.ts'
import { toNumber, toText, toTextOrNull } from '../../common/columns.ts'
import { NotFound } from '../../common/errors.ts'
import { newId } from '../../common/ids.ts'
import { newCode, newSecret, sha256 } from '../../common/secrets.ts'
import { createPluginToken } from '../../groups/create-token.ts'
import { lockGroup } from '../../groups/lock.ts'
import { AlreadyUsed, UserCodeInvalid } from '../errors.ts'
import type { Db } from './place.ts'

export const LIFE_S = 600
export const INTERVAL_S = 5
const KEPT_MS = 24 * 60 * 60_000
const CODE_TRIES = 5

export interface NewPairing {
  readonly pluginName: string
  readonly pluginVersion: string
  readonly label: string
}

const insert = `
  INSERT INTO pairings (id, device_code_hash, user_code, status, label, plugin_name, plugin_version, interval_s, next_poll_at, expires_at, created_at)
  VALUES (:id, :hash, :code, 'pending', :label, :pluginName, :pluginVersion, :interval, :now, :expiresAt, :now)
  ON CONFLICT (user_code) WHERE status = 'pending' DO NOTHING RETURNING id`

/** Two plugins never show one code: if it is taken, another one is tried. Those of yesterday are forgotten meanwhile. */
export async function createPairing (db: Db, pairing: NewPairing, now: number): Promise<{ deviceCode: string, userCode: string }> {
  await db.prepare('DELETE FROM pairings WHERE expires_at <= ?').run(now - KEPT_MS)
  await db.prepare(`UPDATE pairings SET status = 'expired' WHERE expires_at <= ? AND status = 'pending'`).run(now)
  const deviceCode = newSecret()
  for (let i = 0; i < CODE_TRIES; i++) {
    const userCode = newCode()
    const row = await db.prepare(insert).get({ id: newId('pairing'), hash: sha256(deviceCode), code: userCode, ...pairing, interval: INTERVAL_S, expiresAt: now + LIFE_S * 1000, now })
    if (row !== undefined) return { deviceCode, userCode }
  }
  throw new Error(`no user code was free in ${CODE_TRIES} tries`)
}

export interface Approval {
  readonly userCode: string
  readonly groupId: string
  readonly userId: string
  readonly allow: boolean
  readonly label?: string | undefined
}

const findMember = 'SELECT id FROM members WHERE group_id = ? AND user_id = ? AND left_at IS NULL'

const answer = `
  UPDATE pairings SET status = :status, user_id = :user, member_id = :member, label = CASE WHEN :hasLabel = 1 THEN :label ELSE label END
  WHERE user_code = :code AND status = 'pending' AND expires_at > :now RETURNING label, plugin_version`

const findAnswered = `SELECT id FROM pairings WHERE user_code = ? AND status IN ('approved', 'denied', 'used') AND expires_at > ?`

/** Throws `NOT_FOUND` for a group of others, `USER_CODE_INVALID`, `ALREADY_USED`. */
export async function approvePairing (db: Db, { userCode, groupId, userId, allow, label }: Approval, now: number): Promise<{ deviceLabel: string, pluginVersion: string }> {
  return await db.tx(async () => {
    await lockGroup(db, groupId, now)
    const member = await db.prepare(findMember).get(groupId, userId)
    if (member === undefined) throw new NotFound('group')
    const row = await db.prepare(answer).get({
      status: allow ? 'approved' : 'denied', user: userId, member: toText(member.id), hasLabel: label !== undefined, label: label ?? '', code: userCode, now
    })
    if (row !== undefined) return { deviceLabel: toText(row.label), pluginVersion: toText(row.plugin_version) }
    throw await db.prepare(findAnswered).get(userCode, now) === undefined ? new UserCodeInvalid() : new AlreadyUsed()
  })
}

/** For the page where it is confirmed: what asks. Undefined: there is none, or it was answered. */
export async function getPairingByUserCode (db: Pick<Db, 'prepare'>, userCode: string, now: number): Promise<{ label: string, pluginName: string, pluginVersion: string } | undefined> {
  const row = await db.prepare(`SELECT label, plugin_name, plugin_version FROM pairings WHERE user_code = ? AND status = 'pending' AND expires_at > ?`).get(userCode, now)
  return row && { label: toText(row.label), pluginName: toText(row.plugin_name), pluginVersion: toText(row.plugin_version) }
}

export interface Paired {
  readonly token: string
  readonly member: { readonly id: string, readonly displayName: string, readonly characterName: string | null }
  readonly group: { readonly id: string, readonly name: string }
}

export type Polled =
  | { readonly state: 'pending' | 'expired' | 'denied' }
  | { readonly state: 'too soon', readonly intervalS: number }
  | { readonly state: 'paired', readonly paired: Paired }

const find = 'SELECT id, status, expires_at, member_id FROM pairings WHERE device_code_hash = ?'
const wait = `UPDATE pairings SET next_poll_at = :now + interval_s * 1000 WHERE id = :id AND status = 'pending' AND next_poll_at <= :now RETURNING id`
const slowDown = 'UPDATE pairings SET interval_s = interval_s + 5, next_poll_at = :now + (interval_s + 5) * 1000 WHERE id = :id RETURNING interval_s'

/** Remembers that it was asked, whatever the answer. */
export async function pollPairing (db: Db, deviceCode: string, now: number): Promise<Polled> {
  const pairing = await db.prepare(find).get(sha256(deviceCode))
  if (pairing === undefined || toNumber(pairing.expires_at) <= now) return { state: 'expired' }
  switch (pairing.status) {
    case 'approved': return await handOut(db, pairing, now)
    case 'denied': return { state: 'denied' }
    case 'pending': break
    default: return { state: 'expired' }
  }
  if (await db.prepare(wait).get({ id: toText(pairing.id), now }) !== undefined) return { state: 'pending' }
  const slowed = await db.prepare(slowDown).get({ id: toText(pairing.id), now })
  return { state: 'too soon', intervalS: toNumber(slowed?.interval_s) }
}

const findPlace = `
  SELECT members.group_id, members.display_name, members.character_name, groups.name FROM members JOIN groups ON groups.id = members.group_id
  WHERE members.id = ? AND members.left_at IS NULL AND groups.deleted_at IS NULL`

const use = `UPDATE pairings SET status = 'used' WHERE id = ? AND status = 'approved' AND expires_at > ? RETURNING user_id, label, plugin_version`

async function handOut (db: Db, { id, member_id: memberId }: Row, now: number): Promise<Polled> {
  const member = toText(memberId)
  const before = await db.prepare(findPlace).get(member)
  if (before === undefined) return { state: 'denied' }
  const groupId = toText(before.group_id)
  return await db.tx<Polled>(async () => {
    await lockGroup(db, groupId, now)
    const place = await db.prepare(findPlace).get(member)
    if (place === undefined) return { state: 'denied' }
    const used = await db.prepare(use).get(toText(id), now)
    if (used === undefined) return { state: 'expired' }
    const { token } = await createPluginToken(db, { userId: toText(used.user_id), groupId, memberId: member, label: toText(used.label), pluginVersion: toText(used.plugin_version) }, now)
    return {
      state: 'paired',
      paired: { token, member: { id: member, displayName: toText(place.display_name), characterName: toTextOrNull(place.character_name) }, group: { id: groupId, name: toText(place.name) } }
    }
  }).catch((error: unknown): Polled => {
    if (error instanceof NotFound) return { state: 'denied' } // the group was deleted meanwhile
    throw error
  })
}
