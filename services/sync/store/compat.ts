/**
 * Reports of the public plugin, which knows no epochs: whatever comes later is later, by arrival under the lock of the group. One token stands for the whole group.
 *
 * What is kept true: what was put into the bank unseen counts once, also if the plugin sends it again within a minute; nobody who is not on the roster can report.
 * Store: no Fastify.
 */
import { toText, toTextOrNull } from '../../common/columns.ts'
import { recordOnce } from '../../common/idempotency-keys.ts'
import { normalizeName } from '../../common/names.ts'
import { sha256 } from '../../common/secrets.ts'
import { bumpGroupVersion, lockGroup } from '../../groups/lock.ts'
import { containerNames, type ContainerName } from '../containers.ts'
import type { Content, Slot } from '../content.ts'
import { CompatDenied } from '../errors.ts'
import { addToBank } from './deltas.ts'
import { judge } from './judge.ts'
import { findKnown, type Known } from './known.ts'
import type { Db, Moment } from './place.ts'
import { replaceContainer } from './replace.ts'

export interface CompatWriter { readonly groupId: string, readonly memberId: string, readonly tokenHash: string }

const find = `
  SELECT groups.id, members.id AS member_id FROM groups LEFT JOIN members ON members.group_id = groups.id AND members.character_norm = :member AND members.left_at IS NULL
  WHERE groups.compat_name_norm = :group AND groups.compat_token_hash = :hash AND groups.deleted_at IS NULL`

/** Undefined: a group that is not there, a wrong token, or a name that is not on the roster; nobody is told which. */
export async function findCompatWriter (db: Pick<Db, 'prepare'>, { groupName, token, memberName }: { groupName: string, token: string, memberName: string }): Promise<CompatWriter | undefined> {
  const tokenHash = sha256(token)
  const row = await db.prepare(find).get({ member: normalizeName(memberName), group: normalizeName(groupName), hash: tokenHash })
  const memberId = toTextOrNull(row?.member_id ?? null)
  return row === undefined || memberId === null ? undefined : { groupId: toText(row.id), memberId, tokenHash }
}

export interface CompatReport {
  readonly contents: ReadonlyMap<ContainerName, Content>
  /** Put into the bank while that was not to be seen. */
  readonly deposits: readonly Slot[]
}

const ARRIVAL: Moment = { epoch: 0, seq: 0 }
const REPEATED_MS = 60_000
const NOTED_MS = 15_000

/** Throws `COMPAT_DENIED` if the token or the member is not valid any more. */
export async function applyCompatReport (db: Db, writer: CompatWriter, report: CompatReport, now: number): Promise<void> {
  const names = containerNames.filter(name => report.contents.has(name))
  const changed = ofChanges(await findKnown(db, writer, { names, capturedAt: now }, now), names, report)
  if (changed.length > 0 || report.deposits.length > 0) await db.tx(async () => { await applyUnderLock(db, writer, names, report, now) }, { retry: 2 })
  else await db.prepare(noteSql).run({ now, member: writer.memberId, before: now - NOTED_MS })
}

const noteSql = 'UPDATE members SET last_sync_at = :now, last_seen_at = :now WHERE id = :member AND left_at IS NULL AND (last_sync_at IS NULL OR last_sync_at <= :before)'
const lockSql = 'UPDATE members SET last_sync_at = :now, last_seen_at = :now WHERE id = :member AND left_at IS NULL RETURNING id'

async function applyUnderLock (db: Db, writer: CompatWriter, names: readonly ContainerName[], report: CompatReport, now: number): Promise<void> {
  const { groupId, memberId } = writer
  const group = await lockGroup(db, groupId, now)
  const member = await db.prepare(lockSql).get({ now, member: memberId })
  if (group.compat_token_hash !== writer.tokenHash || member === undefined) throw new CompatDenied()
  const known = await findKnown(db, writer, { names, capturedAt: now }, now)
  const changed = ofChanges(known, names, report)
  const version = changed.length === 0 ? known.version : await bumpGroupVersion(db, groupId, changed.map(container => ({ kind: 'container', memberId: known.ownerOf(container), container })), now)
  const upload = { ...ARRIVAL, contents: report.contents }
  for (const name of changed) await replaceContainer(db, writer, { known, upload, name, version, isOrdered: false }, now)
  if (report.deposits.length > 0 && await isNew(db, memberId, report, now)) await addToBank(db, writer, { ...ARRIVAL, add: report.deposits }, now)
}

function ofChanges (known: Known, names: readonly ContainerName[], { contents }: CompatReport): ContainerName[] {
  return names.filter(name => judge({ ...known, marks: new Map() }, name, { ...ARRIVAL, contents }) === 'applied')
}

/** The plugin sends what it got no answer for once more: the same deposits beside the same inventory. */
async function isNew (db: Db, memberId: string, { contents, deposits }: CompatReport, now: number): Promise<boolean> {
  const key = sha256(JSON.stringify([deposits, contents.get('inventory')?.hash ?? null]))
  return await recordOnce(db, { scope: `deposit:${memberId}`, key, requestHash: key }, now, { answer: { status: 200, response: '' }, keptMs: REPEATED_MS })
}
