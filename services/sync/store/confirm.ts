/**
 * Reports of what is there already, without the lock of the group, so that a thousand plugins that have nothing new do not wait for each other.
 *
 * What is kept true: what was seen without a lock is the condition of each write. If it does not hold any more nothing is written, and the report is handled as any other.
 * The row of the member is locked, so reports of one member follow each other, and one whose member is gone ends here.
 */
import { containerNames, type ContainerName } from '../containers.ts'
import { judge, toResults } from './judge.ts'
import type { Known } from './known.ts'
import { moveMarks, toMarks } from './marks.ts'
import { checkEpoch, lockMember, type Db, type Writer } from './place.ts'
import type { Applied, Upload } from './upload.ts'

/** `known`: without a lock. Undefined: it changes something, or somebody else has just changed it. Throws `TOKEN_REVOKED`, `EPOCH_UNKNOWN`. */
export async function confirmEqual (db: Db, writer: Writer, upload: Upload, known: Known, now: number): Promise<Applied | undefined> {
  const names = containerNames.filter(name => upload.contents.has(name))
  const results = new Map(names.map(name => [name, judge(known, name, upload)]))
  if (names.some(name => results.get(name) === 'applied')) return undefined
  const equal = names.filter(name => results.get(name) === 'unchanged')
  const isNoted = equal.length === 0 || await noteUnlessOvertaken(db, writer, upload, known, equal, now)
  return isNoted ? { groupVersion: known.version, results: toResults(results) } : undefined
}

class Overtaken extends Error {}

async function noteUnlessOvertaken (db: Db, writer: Writer, upload: Upload, known: Known, names: readonly ContainerName[], now: number): Promise<boolean> {
  try {
    await db.tx(async () => {
      const [{ epoch }, noted, moved] = await Promise.all([
        lockMember(db, writer, now),
        noteEqual(db, upload, known, names, now),
        moveMarks(db, writer.memberId, upload, toMarks(known, upload.contents, names), now)
      ])
      checkEpoch(upload, epoch)
      if (noted !== names.length || moved !== names.length) throw new Overtaken()
    }, { retry: 2 })
    return true
  } catch (error) {
    if (error instanceof Overtaken) return false
    throw error
  }
}

const note = `
  UPDATE containers SET epoch = :epoch, seq = :seq, writer_member_id = :writer, received_at = :now, captured_at = CASE WHEN captured_at > :seenAt THEN captured_at ELSE :seenAt END
  WHERE member_id = :owner AND container = :container AND content_hash = :hash AND approximate = 0`

/** Answers how many are still what is reported. Inside a transaction. */
export async function noteEqual (db: Db, { epoch, seq, contents }: Upload, { ownerOf, writerId, seenAt }: Known, names: readonly ContainerName[], now: number): Promise<number> {
  const statement = db.prepare(note)
  const noted = await Promise.all(names.map(async container => await statement.run({
    epoch, seq, writer: writerId, now, seenAt, owner: ownerOf(container), container, hash: contents.get(container)?.hash ?? ''
  })))
  return noted.reduce((sum, { changes }) => sum + changes, 0)
}
