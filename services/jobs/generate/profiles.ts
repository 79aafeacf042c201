/** Sizes that belong together, and what they take on the disk. */
import type { IndexSet } from '../indices.ts'
import type { MetaSize } from './meta-data.ts'

export interface Profile { readonly rows: number, readonly meta: MetaSize, readonly indices: IndexSet }

export const profiles = {
  '200k': { rows: 200_000, meta: 'real', indices: 'ours' },
  '2M': { rows: 2_000_000, meta: 'real', indices: 'ours' },
  '20M': { rows: 20_000_000, meta: 'small', indices: 'ours' }
} as const satisfies Record<string, Profile>

/** Bytes of a row in SQLite, and of its entries in all indices. */
const rowBytes: Readonly<Record<MetaSize, number>> = { small: 500, real: 1300, large: 4200 }
const indexBytes: Readonly<Record<IndexSet, number>> = { ours: 420, '2026-03': 2000, v11: 1700 }

export function bytesOf ({ rows, meta, indices }: Profile): number {
  return rows * (rowBytes[meta] + indexBytes[indices])
}
