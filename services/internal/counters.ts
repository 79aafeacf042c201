/** What this process has counted since it began, by name and labels. For metrics; nothing depends on it. */

export type Labels = Readonly<Record<string, string | number>>

export interface Counted {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

const counted = new Map<string, { name: string, labels: Labels, value: number }>()

/**
 * One more, or `by` more; less than zero for what ends: `count('vault_sse_streams', {}, 1)`, then with -1. Names and labels are few and written in the code: no ids, nothing that a client sends.
 */
export function count (name: string, labels: Labels = {}, by = 1): void {
  const key = `${name} ${Object.values(labels).join(' ')}`
  const known = counted.get(key)
  if (known === undefined) counted.set(key, { name, labels, value: by })
  else known.value += by
}

export function listCounted (): readonly Counted[] {
  return [...counted.values()]
}
