/** Ids from 1 to `rows`, in an order that looks random and is the same each time (the end of MurmurHash3, https://en.wikipedia.org/wiki/MurmurHash). */
export function spreadId (i: number, rows: number): number {
  let h = Math.imul(i ^ (i >>> 16), 0x85EBCA6B)
  h = Math.imul(h ^ (h >>> 13), 0xC2B2AE35)
  return 1 + ((h ^ (h >>> 16)) >>> 0) % rows
}

/** Which ids are read: `reads` of those from 1 to `ids`, beginning with the `first` in the order of `spreadId`. */
export interface Span { readonly reads: number, readonly ids: number, readonly first: number }
