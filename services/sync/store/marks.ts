/** The mark of a writer: the last report of each container that counts. It never moves back, and stays when the content is removed. Store: no Fastify. */
import type { Value } from '../../../plugins/db/types.ts'
import type { ContainerName } from '../containers.ts'
import type { Content } from '../content.ts'
import { once, repeat } from './items.ts'
import type { Known } from './known.ts'
import type { Db, Moment } from './place.ts'

export interface Mark {
  readonly ownerId: string
  readonly container: string
  /** '' for content that was removed. */
  readonly hash: string
}

const upsert = once(rows => `
  INSERT INTO sync_marks (owner_member_id, container, writer_member_id, epoch, seq, body_hash, updated_at) VALUES ${repeat('(?, ?, ?, ?, ?, ?, ?)', rows)}
  ON CONFLICT (owner_member_id, container, writer_member_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, body_hash = excluded.body_hash, updated_at = excluded.updated_at
  WHERE (sync_marks.epoch, sync_marks.seq) < (excluded.epoch, excluded.seq)`)

/** Answers how many moved. Inside a transaction. */
export async function moveMarks (db: Db, writerId: string, { epoch, seq }: Moment, marks: readonly Mark[], now: number): Promise<number> {
  if (marks.length === 0) return 0
  const { changes } = await db.prepare(upsert(marks.length)).run(...marks.flatMap(({ ownerId, container, hash }): Value[] => [ownerId, container, writerId, epoch, seq, hash, now]))
  return changes
}

export function toMarks ({ ownerOf }: Pick<Known, 'ownerOf'>, contents: ReadonlyMap<ContainerName, Content>, names: readonly ContainerName[]): Mark[] {
  return names.map(name => ({ ownerId: ownerOf(name), container: name, hash: contents.get(name)?.hash ?? '' }))
}
