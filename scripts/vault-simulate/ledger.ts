/**
 * What a group has to hold by what its plugins were answered, recomputed in the most naive way: of each container the report with the greatest number, and the deltas behind it; of
 * the shared storage the last one that was applied. Knows no SQL and none of the services.
 */
export type Pair = readonly [itemId: number, quantity: number]

export interface Moment { readonly epoch: number, readonly seq: number }

export interface Report extends Moment {
  readonly memberId: string
  readonly containers: Readonly<Record<string, { readonly items: readonly Pair[] }>>
}

export interface Acknowledged { readonly groupVersion: number, readonly results: Readonly<Record<string, string>> }

export interface ReportedDelta extends Moment { readonly memberId: string, readonly add: readonly Pair[] }

const POSITIONAL: ReadonlySet<string> = new Set(['inventory', 'equipment', 'rune_pouch', 'quiver'])
const MOST = 2 ** 31 - 1

/** One group. */
export class Ledger {
  /** By member and container. */
  readonly #last = new Map<string, Moment & { readonly items: readonly Pair[] }>()
  readonly #deltas = new Map<string, ReportedDelta[]>()
  #shared: { readonly version: number, readonly items: readonly Pair[] } | undefined
  /** Requests that changed something: so many versions. */
  changes = 0

  note ({ memberId, containers, ...moment }: Report, { groupVersion, results }: Acknowledged): void {
    if (Object.values(results).includes('applied')) this.changes++
    for (const [name, { items }] of Object.entries(containers)) {
      if (name === 'shared') this.#noteShared(items, groupVersion, results[name])
      else this.#noteOwn(`${memberId}/${name}`, { ...moment, items })
    }
  }

  noteDelta (delta: ReportedDelta, result: string): void {
    if (result !== 'applied') return
    this.changes++
    this.#deltas.set(delta.memberId, [...this.#deltas.get(delta.memberId) ?? [], delta])
  }

  /** `member/container` → what is in it, each as `slot:item:quantity`. */
  holdings (sharedMemberId: string): Map<string, string[]> {
    const held = new Map([...this.#last].map(([place, { items }]) => [place, slotsOf(place.split('/')[1] ?? '', items)]))
    for (const [memberId, deltas] of this.#deltas) held.set(`${memberId}/bank`, this.#bankOf(memberId, deltas))
    if (this.#shared !== undefined) held.set(`${sharedMemberId}/shared`, slotsOf('shared', this.#shared.items))
    return held
  }

  #noteOwn (place: string, report: Moment & { readonly items: readonly Pair[] }): void {
    const last = this.#last.get(place)
    if (last === undefined || isAfter(report, last)) this.#last.set(place, report)
  }

  #noteShared (items: readonly Pair[], version: number, result: string | undefined): void {
    if (result === 'applied' && version > (this.#shared?.version ?? 0)) this.#shared = { version, items }
  }

  #bankOf (memberId: string, deltas: readonly ReportedDelta[]): string[] {
    const last = this.#last.get(`${memberId}/bank`)
    const behind = deltas.filter(delta => last === undefined || isAfter(delta, last))
    return slotsOf('bank', [...last?.items ?? [], ...behind.flatMap(({ add }) => add)])
  }
}

/** Item → how many, over all containers. */
export function totalsOf (holdings: ReadonlyMap<string, readonly string[]>): Map<number, number> {
  const totals = new Map<number, number>()
  for (const slots of holdings.values()) {
    for (const slot of slots) {
      const [, item = 0, quantity = 0] = slot.split(':').map(Number)
      totals.set(item, (totals.get(item) ?? 0) + quantity)
    }
  }
  return totals
}

/** What is not alike, in words. */
export function findDifferences (expected: ReadonlyMap<string, readonly string[]>, actual: ReadonlyMap<string, readonly string[]>): string[] {
  return [...new Set([...expected.keys(), ...actual.keys()])].flatMap(place => {
    const [a = [], b = []] = [expected.get(place), actual.get(place)].map(slots => [...slots ?? []].sort())
    const missing = a.filter(slot => !b.includes(slot))
    const surplus = b.filter(slot => !a.includes(slot))
    return missing.length + surplus.length === 0 ? [] : [`${place}: missing ${missing.slice(0, 5).join(' ') || 'nothing'}, too much ${surplus.slice(0, 5).join(' ') || 'nothing'}`]
  })
}

function slotsOf (container: string, items: readonly Pair[]): string[] {
  if (POSITIONAL.has(container)) return items.flatMap(([id, quantity], place) => id > 0 && quantity > 0 ? [`${place}:${id}:${quantity}`] : [])
  const sums = new Map<number, number>()
  for (const [id, quantity] of items) if (id > 0 && quantity > 0) sums.set(id, Math.min((sums.get(id) ?? 0) + quantity, MOST))
  return [...sums].map(([id, quantity]) => `${id}:${id}:${quantity}`)
}

function isAfter (a: Moment, b: Moment): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq)
}
