/** A container is taken away, as if it had never been synced. Its mark stays, so that what is late does not bring it back. Store: no Fastify. */
import { bumpGroupVersion } from '../../groups/lock.ts'
import type { ContainerName } from '../containers.ts'
import { isRepeated, type Result } from './judge.ts'
import { findKnown } from './known.ts'
import { moveMarks } from './marks.ts'
import { checkEpoch, inPlace, type Db, type Moment, type Writer } from './place.ts'

/** Throws `TOKEN_REVOKED`, `EPOCH_UNKNOWN`. */
export async function clearContainer (db: Db, writer: Writer, container: ContainerName, moment: Moment, now: number): Promise<{ groupVersion: number, result: Result }> {
  return await inPlace(db, writer, now, async ({ version, epoch }) => {
    checkEpoch(moment, epoch)
    const known = await findKnown(db, writer, { names: [container], capturedAt: now }, now)
    if (isRepeated(known, container, moment)) return { groupVersion: version, result: 'stale' }
    const ownerId = known.ownerOf(container)
    const isHeld = known.held.has(container)
    const groupVersion = isHeld ? await bumpGroupVersion(db, writer.groupId, [{ kind: 'container', memberId: ownerId, container }], now) : version
    await db.prepare('DELETE FROM container_items WHERE member_id = ? AND container = ?').run(ownerId, container)
    await db.prepare('DELETE FROM containers WHERE member_id = ? AND container = ?').run(ownerId, container)
    await moveMarks(db, writer.memberId, moment, [{ ownerId, container, hash: '' }], now)
    return { groupVersion, result: isHeld ? 'applied' : 'unchanged' }
  })
}
