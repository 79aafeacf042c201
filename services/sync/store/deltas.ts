/**
 * What was put into the bank while its content could not be seen (T11): the id of the delta, the items and the note that the bank is approximate, in one commit.
 *
 * What is kept true: a delta counts once, in whatever order they come, and not at all if a snapshot that is later has it already. Only a snapshot makes the bank exact again.
 * Store: no Fastify.
 */
import { sha256 } from '../../common/secrets.ts'
import { bumpGroupVersion } from '../../groups/lock.ts'
import { addStacks, toContent, type Slot } from '../content.ts'
import { logDelta } from './delta-log.ts'
import { listSlots, replaceSlots } from './items.ts'
import { isAfter, checkEpoch, inPlace, type Db, type Moment, type Writer } from './place.ts'
import { findKnown } from './known.ts'
import { putContainer } from './replace.ts'

export interface Delta extends Moment {
  readonly deltaId: string
  readonly add: readonly Slot[]
}

export interface DeltaResult { readonly groupVersion: number, readonly result: 'applied' | 'duplicate' | 'superseded' }

const BANK = 'bank'

/** Throws `TOKEN_REVOKED`, `EPOCH_UNKNOWN`, `IDEMPOTENCY_MISMATCH`. */
export async function applyDelta (db: Db, writer: Writer, { deltaId, ...delta }: Delta, now: number): Promise<DeltaResult> {
  return await inPlace(db, writer, now, async ({ version, epoch }) => {
    checkEpoch(delta, epoch)
    if (!await logDelta(db, writer.memberId, deltaId, sha256(JSON.stringify(delta)), delta, now)) return { groupVersion: version, result: 'duplicate' }
    const { marks } = await findKnown(db, writer, { names: [BANK], capturedAt: now }, now)
    const mark = marks.get(BANK)
    if (mark !== undefined && isAfter(mark, delta)) return { groupVersion: version, result: 'superseded' }
    return { groupVersion: await addToBank(db, writer, delta, now), result: 'applied' }
  })
}

/** The version of the group with it. Inside a transaction that has the lock of the group. */
export async function addToBank (db: Db, { groupId, memberId }: Pick<Writer, 'groupId' | 'memberId'>, { add, ...moment }: Moment & Pick<Delta, 'add'>, now: number): Promise<number> {
  const [before, version] = await Promise.all([listSlots(db, memberId, BANK), bumpGroupVersion(db, groupId, [{ kind: 'container', memberId, container: BANK }], now)])
  const content = toContent(BANK, addStacks(before, add))
  await Promise.all([
    putContainer(db, { groupId, ownerId: memberId, container: BANK, writerId: memberId, ...moment, content, seenAt: now, version, approximate: true }, now),
    replaceSlots(db, { groupId, ownerId: memberId, container: BANK }, before, content.slots)
  ])
  return version
}
