/** What was put into the shared storage, and what was taken out, as an event tells it. Asks nobody. */
import type { Slot } from '../content.ts'

export interface Stack { readonly itemId: number, readonly quantity: number }

/** An event names the largest so many of each; payloads have a limit. */
export const MOST_NAMED = 50

export interface StorageChange extends Readonly<Record<string, unknown>> {
  readonly deposits: readonly Stack[]
  readonly withdrawals: readonly Stack[]
  /** Kinds of items that are not named. */
  readonly more: number
}

/** Undefined: nothing was. */
export function describeChange (before: readonly Slot[], after: readonly Slot[]): StorageChange | undefined {
  const differences = new Map(after.map(({ itemId, quantity }) => [itemId, quantity]))
  for (const { itemId, quantity } of before) differences.set(itemId, (differences.get(itemId) ?? 0) - quantity)
  const deposits = largest([...differences].filter(([, difference]) => difference > 0))
  const withdrawals = largest([...differences].filter(([, difference]) => difference < 0))
  if (deposits.length + withdrawals.length === 0) return undefined
  return { deposits: deposits.slice(0, MOST_NAMED), withdrawals: withdrawals.slice(0, MOST_NAMED), more: Math.max(0, deposits.length - MOST_NAMED) + Math.max(0, withdrawals.length - MOST_NAMED) }
}

function largest (differences: ReadonlyArray<readonly [number, number]>): Stack[] {
  return differences.map(([itemId, difference]) => ({ itemId, quantity: Math.abs(difference) })).sort((a, b) => b.quantity - a.quantity || a.itemId - b.itemId)
}
