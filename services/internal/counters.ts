/** What this process has counted since it began, by name and labels. For metrics; nothing depends on it. */

export type Labels = Readonly<Record<string, string | number>>

export interface Counted {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

const counted = new Map<string, { name: string, labels: Labels, value: number }>()

/** One more. Names and labels are few and written in the code: no ids, nothing that a client sends. */
export function count (name: string, labels: Labels = {}): void {
  const key = `${name} ${Object.values(labels).join(' ')}`
  const known = counted.get(key)
  if (known === undefined) counted.set(key, { name, labels, value: 1 })
  else known.value++
}

export function listCounted (): readonly Counted[] {
  return [...counted.values()]
}
