/** What is known before a report: how far its writer has come with each container, and what is in there now. Store: no Fastify. */
import type { Row } from '../../../plugins/db/types.ts'
import { toFlag, toNumber, toText } from '../../common/columns.ts'
import { TokenRevoked } from '../../common/errors.ts'
import { isContainerName, SHARED, type ContainerName } from '../containers.ts'
import { once } from './items.ts'
import { findSharedMember, type Db, type Moment, type Writer } from './place.ts'

export interface Held {
  readonly hash: string
  readonly writer: string
  readonly capturedAt: number
  readonly approximate: boolean
}

export interface Known {
  readonly version: number
  /** When the report says that it was seen, on the server's clock, which it cannot be ahead of. */
  readonly seenAt: number
  readonly writerId: string
  /** Whose container it is: the member's own, or the group's. */
  readonly ownerOf: (name: ContainerName) => string
  /** The last report of this writer; none yet: undefined. */
  readonly marks: ReadonlyMap<ContainerName, Moment>
  /** None: it was never synced. */
  readonly held: ReadonlyMap<ContainerName, Held>
}

/**
 * Marks, contents, and, without a container, where the member stands: in one go, since every report asks for it. $1: the member; $2: whose the shared storage is; then as many
 * names.
 */
const byNames = once(names => {
  // NULL is none of them; PostgreSQL knows no empty list
  const those = Array.from({ length: names }, (_, i) => `$${i + 3}`).join(', ') || 'NULL'
  return `
  SELECT container, owner_member_id AS owner, epoch, seq, CAST(NULL AS TEXT) AS content_hash, CAST(NULL AS TEXT) AS writer, CAST(NULL AS BIGINT) AS captured_at, CAST(NULL AS INTEGER) AS approximate
  FROM sync_marks WHERE owner_member_id IN ($1, $2) AND container IN (${those}) AND writer_member_id = $1
  UNION ALL
  SELECT container, member_id, NULL, NULL, content_hash, writer_member_id, captured_at, approximate FROM containers WHERE member_id IN ($1, $2) AND container IN (${those})
  UNION ALL
  SELECT '', members.group_id, groups.version, COALESCE(members.clock_offset_ms, 0), NULL, NULL, NULL, NULL FROM members JOIN groups ON groups.id = members.group_id WHERE members.id = $1`
})

export interface Report {
  readonly names: readonly ContainerName[]
  /** Milliseconds since 1970, on the clock of the plugin. */
  readonly capturedAt: number
}

/** What is the group's is looked up only if the report has something of it. Throws `TOKEN_REVOKED` if the member is gone. */
export async function findKnown (db: Db, { groupId, memberId }: Pick<Writer, 'groupId' | 'memberId'>, { names, capturedAt }: Report, now: number): Promise<Known> {
  const shared = names.includes(SHARED) ? await findSharedMember(db, groupId) : memberId
  const rows = await db.prepare(byNames(names.length)).all(memberId, shared, ...names)
  const standing = rows.find(({ container }) => container === '')
  if (standing === undefined) throw new TokenRevoked()
  const seenAt = Math.min(capturedAt - toNumber(standing.seq), now)
  const ownerOf = (name: ContainerName): string => name === SHARED ? shared : memberId
  const isMark = ({ content_hash: hash }: Row): boolean => hash === null
  return { version: toNumber(standing.epoch), seenAt, writerId: memberId, ownerOf, marks: new Map(rows.filter(isMark).flatMap(toMark)), held: new Map(rows.filter(row => !isMark(row)).flatMap(toHeld)) }
}

function toMark (row: Row): Array<[ContainerName, Moment]> {
  const name = toText(row.container)
  return isContainerName(name) ? [[name, { epoch: toNumber(row.epoch), seq: toNumber(row.seq) }]] : []
}

function toHeld (row: Row): Array<[ContainerName, Held]> {
  const name = toText(row.container)
  if (!isContainerName(name)) return []
  return [[name, { hash: toText(row.content_hash), writer: toText(row.writer), capturedAt: toNumber(row.captured_at), approximate: toFlag(row.approximate) }]]
}
