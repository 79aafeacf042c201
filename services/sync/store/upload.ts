/** A report of whole containers, and what became of it. */
import type { ContainerName } from '../containers.ts'
import type { Content } from '../content.ts'
import type { Result } from './judge.ts'
import type { Moment } from './place.ts'

export interface Upload extends Moment {
  /** Milliseconds since 1970, on the clock of the plugin. */
  readonly capturedAt: number
  readonly contents: ReadonlyMap<ContainerName, Content>
}

export interface Applied {
  readonly groupVersion: number
  readonly results: Readonly<Partial<Record<ContainerName, Result>>>
}
