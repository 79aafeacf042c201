/**
 * Whole containers, as a plugin reports them (T10): all of a request in one commit, or none.
 *
 * What is kept true:
 *  1. Containers never go back: of one writer by (epoch, seq), which has to be greater than that of the mark; between the writers of the shared storage by when it was seen,
 *     with two seconds of grace, else by arrival.
 *  2. What is equal to what is there writes the mark, and when it was seen and received: no version, no change, no event, and nobody else of the group waits for it. Nearly all
 *     reports are of this kind. They are recognised without a lock (confirm.ts).
 *  3. What changes does so under the lock of the group: the version grows by one for the request, and each container that changed has it.
 *  4. A snapshot that comes late does not undo deltas that belong behind it.
 *
 * Locks: group (not in case 2), member; behind them, what nobody else writes without one of the two, and the row of the shared storage. Store: no Fastify.
 */
import { raiseVersion, recordChanges } from '../../groups/lock.ts'
import { containerNames, type ContainerName } from '../containers.ts'
import { confirmEqual, noteEqual } from './confirm.ts'
import { judge, toResults, type Result } from './judge.ts'
import { findKnown } from './known.ts'
import { moveMarks, toMarks } from './marks.ts'
import { checkEpoch, takePlace, type Db, type Writer } from './place.ts'
import { replaceContainer } from './replace.ts'
import type { Applied, Upload } from './upload.ts'

/** Rows of a report that is put in place among the large ones. */
const LARGE = 100

/** Throws `TOKEN_REVOKED`, `EPOCH_UNKNOWN`. */
export async function applyContainers (db: Db, writer: Writer, upload: Upload, now: number): Promise<Applied> {
  const names = containerNames.filter(name => upload.contents.has(name))
  const known = await findKnown(db, writer, { names, capturedAt: upload.capturedAt }, now)
  const isLarge = names.reduce((rows, name) => rows + (known.held.has(name) ? 0 : upload.contents.get(name)?.slots.length ?? 0), 0) > LARGE
  return await confirmEqual(db, writer, upload, known, now) ?? await db.tx(async () => await applyInPlace(db, writer, upload, isLarge, now), { retry: 2 })
}

/** What does not need an answer is not waited for, since the group is locked so long. */
async function applyInPlace (db: Db, writer: Writer, upload: Upload, isLarge: boolean, now: number): Promise<Applied> {
  const names = containerNames.filter(name => upload.contents.has(name))
  const [place, known] = await Promise.all([takePlace(db, writer, now, { isLarge }), findKnown(db, writer, { names, capturedAt: upload.capturedAt }, now)])
  checkEpoch(upload, place.epoch)
  const results = new Map(names.map(name => [name, judge(known, name, upload)]))
  const those = (result: Result): ContainerName[] => names.filter(name => results.get(name) === result)
  const changes = those('applied').map(container => ({ kind: 'container' as const, memberId: known.ownerOf(container), container }))
  const version = changes.length === 0 ? place.version : await raiseVersion(db, writer.groupId, now)
  const replaceAll = async (): Promise<void> => { for (const name of those('applied')) await replaceContainer(db, writer, { known, upload, name, version }, now) }
  await Promise.all([
    changes.length === 0 ? undefined : recordChanges(db, { groupId: writer.groupId, version, changes }, now),
    replaceAll(),
    noteEqual(db, upload, known, those('unchanged'), now),
    moveMarks(db, writer.memberId, upload, toMarks(known, upload.contents, names.filter(name => results.get(name) !== 'stale')), now)
  ])
  return { groupVersion: version, results: toResults(results) }
}
