/** One container becomes what was reported of it: its row, its items, and, if it is the group's, an event that says what was put in and taken out. Store: no Fastify. */
import { appendActivity } from '../../activity/append.ts'
import { SHARED, type ContainerName } from '../containers.ts'
import { addStacks, toContent, type Content } from '../content.ts'
import { listDeltasAfter } from './delta-log.ts'
import { listSlots, replaceSlots } from './items.ts'
import type { Known } from './known.ts'
import type { Db, Moment, Writer } from './place.ts'
import { describeChange } from './storage-change.ts'

export interface Replacement {
  readonly known: Known
  readonly upload: Moment & { readonly contents: ReadonlyMap<ContainerName, Content> }
  readonly name: ContainerName
  /** Of the group, with this change. */
  readonly version: number
  /** False: what comes later is later, and has all deltas so far in it. Default: by epoch and number. */
  readonly isOrdered?: boolean
}

/** Inside a transaction that has the lock of the group. */
export async function replaceContainer (db: Db, { groupId, memberId }: Pick<Writer, 'groupId' | 'memberId'>, { known, upload, name, version, isOrdered = true }: Replacement, now: number): Promise<void> {
  const reported = upload.contents.get(name) ?? toContent(name, [])
  const later = name === 'bank' && isOrdered ? await listDeltasAfter(db, memberId, upload, now) : []
  const content = later.length === 0 ? reported : toContent(name, later.reduce(addStacks, [...reported.slots]))
  const owned = { groupId, ownerId: known.ownerOf(name), container: name }
  const [before] = await Promise.all([
    known.held.has(name) ? listSlots(db, owned.ownerId, name) : [],
    putContainer(db, { ...owned, ...upload, writerId: memberId, content, seenAt: known.seenAt, version, approximate: later.length > 0 }, now)
  ])
  await replaceSlots(db, owned, before, content.slots)
  const change = name === SHARED && known.held.has(name) ? describeChange(before, content.slots) : undefined
  if (change !== undefined) await appendActivity(db, { groupId, type: 'storage.changed', memberId, data: change }, now)
}

export interface ContainerRow extends Moment {
  readonly groupId: string
  readonly ownerId: string
  readonly container: ContainerName
  readonly writerId: string
  readonly content: Content
  readonly seenAt: number
  readonly version: number
  readonly approximate: boolean
}

const put = `
  INSERT INTO containers (member_id, container, group_id, content_hash, item_count, epoch, seq, writer_member_id, captured_at, received_at, version, approximate)
  VALUES (:owner, :container, :group, :hash, :count, :epoch, :seq, :writer, :seenAt, :now, :version, :approximate)
  ON CONFLICT (member_id, container) DO UPDATE SET content_hash = excluded.content_hash, item_count = excluded.item_count, epoch = excluded.epoch, seq = excluded.seq,
    writer_member_id = excluded.writer_member_id, captured_at = excluded.captured_at, received_at = excluded.received_at, version = excluded.version, approximate = excluded.approximate`

export async function putContainer (db: Db, { ownerId, container, groupId, content, epoch, seq, writerId, seenAt, version, approximate }: ContainerRow, now: number): Promise<void> {
  await db.prepare(put).run({
    owner: ownerId, container, group: groupId, hash: content.hash, count: content.slots.length, epoch, seq, writer: writerId, seenAt, now, version, approximate
  })
}
