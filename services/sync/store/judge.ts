/** What a report means for a container, by what is known of it. Asks nobody. */
import { SHARED, type ContainerName } from '../containers.ts'
import type { Content } from '../content.ts'
import type { Known } from './known.ts'
import { isAfter, type Moment } from './place.ts'

export type Result = 'applied' | 'unchanged' | 'stale'

export interface Judged extends Moment { readonly contents: ReadonlyMap<ContainerName, Content> }

/** Between two writers of the shared storage, what was seen so much earlier comes too late. */
export const GRACE_MS = 2000

export function judge (known: Known, name: ContainerName, report: Judged): Result {
  if (isRepeated(known, name, report) || isOutrun(known, name)) return 'stale'
  const held = known.held.get(name)
  return held !== undefined && !held.approximate && held.hash === report.contents.get(name)?.hash ? 'unchanged' : 'applied'
}

export function isRepeated ({ marks }: Known, name: ContainerName, moment: Moment): boolean {
  const mark = marks.get(name)
  return mark !== undefined && !isAfter(moment, mark)
}

/** Epochs and numbers of different players are never compared. */
export function isOutrun ({ held, writerId, seenAt }: Known, name: ContainerName): boolean {
  const before = held.get(name)
  return name === SHARED && before !== undefined && before.writer !== writerId && seenAt < before.capturedAt - GRACE_MS
}

export function toResults (results: ReadonlyMap<ContainerName, Result>): Readonly<Partial<Record<ContainerName, Result>>> {
  return Object.fromEntries(results)
}
