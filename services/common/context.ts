/** What all services of the group vault work with. */
import type { Log } from '../../plugins/db/types.ts'
import type { VaultSettings } from '../settings.ts'
import type { Sealer } from './sealing.ts'

export interface VaultContext {
  readonly settings: VaultSettings
  readonly sealer: Sealer
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly now: () => number
}
