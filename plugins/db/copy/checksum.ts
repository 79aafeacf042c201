/**
 * A checksum of rows that does not depend on their order or engine: the sum of the hashes of all rows, in which each value stands in one form.
 *
 *  1. A number is what it prints, so that 5, 5.0 and '5' are the same, and -0 is 0. NULL is like no text.
 *  2. Bytes are the text that they are in UTF-8, if they are any, since SQLite keeps either in either column.
 *  3. Every text has its length before it, so that no two rows are spelled alike.
 *
 * Rows fall into buckets by their hash. Of two tables that differ, it is known in which: those rows are looked at again, and not all.
 */
import { hash } from 'node:crypto'
import type { Column as Content } from '../types.ts'

const BUCKETS = 4096
/** 32 bits each. */
const LANES = 4

/** 32 bytes. */
export function digest (values: readonly Content[]): Buffer {
  let text = ''
  for (const value of values) text += spell(value)
  return hash('sha256', text, 'buffer')
}

function spell (value: Content): string {
  if (value === null) return 'n'
  const text = value instanceof Uint8Array ? decode(value) : String(value)
  return text === undefined ? `b${Buffer.from(value as Uint8Array).toString('base64')};` : `${text.length}:${text}`
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text that the bytes are in UTF-8; undefined if they are none. */
export function decode (bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

export function bucketOf (digest: Buffer): number {
  return digest.readUInt32LE(0) % BUCKETS
}

export class Checksum {
  rows = 0
  readonly #sums = new Uint32Array(BUCKETS * LANES) // what overflows is lost, on both sides alike

  add (digest: Buffer): void {
    this.rows++
    const start = bucketOf(digest) * LANES
    for (let lane = 0; lane < LANES; lane++) this.#sums[start + lane] = (this.#sums[start + lane] as number) + digest.readUInt32LE(4 * lane + 4)
  }

  /** The buckets in which rows differ. */
  compare (other: Checksum): number[] {
    const differs = (bucket: number): boolean => {
      for (let i = bucket * LANES; i < (bucket + 1) * LANES; i++) if (this.#sums[i] !== other.#sums[i]) return true
      return false
    }
    return Array.from({ length: BUCKETS }, (_, bucket) => bucket).filter(differs)
  }

  /** 32 digits. */
  toString (): string {
    const total = new Uint32Array(LANES)
    for (const [i, sum] of this.#sums.entries()) total[i % LANES] = (total[i % LANES] as number) + sum
    return Array.from(total, lane => lane.toString(16).padStart(8, '0')).join('')
  }
}
