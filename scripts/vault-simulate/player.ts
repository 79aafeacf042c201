/**
 * A player with a plugin: signs in with everything, then reports once a second, as the public plugin does. Half of the ticks have no containers, most others have what is known
 * already; some reports are lost, repeated, or come after later ones.
 */
import { randomUUID } from 'node:crypto'
import { Random } from '../../bench/faults/random.ts'
import { Client, type Answered } from './client.ts'
import type { Acknowledged, Moment, Pair } from './ledger.ts'
import type { SimulatedGroup, SimulatedMember } from './population.ts'
import type { Tally } from './tally.ts'

type Containers = Record<string, { items: Pair[] }>

/** Of a hundred ticks. */
const TICKS = { heartbeat: 48, equal: 36, inventory: 10, bank: 2, shared: 1, delta: 1, equipment: 1, state: 1 }
const LOST = 0.01
const REPEATED = 0.02
const LATE = 0.02
const BANK_STACKS = [50, 816] as const
const SHARED_STACKS = 80
const ITEMS = 33_833

export class Player {
  readonly #random: Random
  readonly #client: Client
  readonly #group: SimulatedGroup
  readonly #member: SimulatedMember
  /** Where answers are counted. */
  tally: Tally
  readonly #account: string
  /** As the game has it now. */
  readonly #has: Containers
  #epoch = 0
  #seq = 0
  /** Sent after a later one. */
  #held: (() => Promise<void>) | undefined

  constructor ({ port, seed, group, member, tally }: { port: number, seed: number, group: SimulatedGroup, member: SimulatedMember, tally: Tally }) {
    this.#random = new Random(seed)
    this.#client = new Client(port, member.token)
    this.#group = group
    this.#member = member
    this.tally = tally
    this.#account = String(seed + 1)
    this.#has = {
      inventory: { items: Array.from({ length: 28 }, () => this.#random.chance(0.2) ? [0, 0] as const : this.#stack(1)) },
      equipment: { items: Array.from({ length: 14 }, () => this.#stack(1)) },
      rune_pouch: { items: [[554, 1000], [555, 2000], [560, 300]] },
      bank: { items: this.#stacks(this.#random.between(...BANK_STACKS)) },
      shared: { items: this.#stacks(SHARED_STACKS) }
    }
  }

  async signIn (): Promise<void> {
    await this.#ask('GET', '/hello')
    const { body } = await this.#ask<{ epoch: number }>('POST', '/sessions', { accountHash: this.#account, characterName: this.#member.name, clientTime: new Date().toISOString() })
    this.#epoch = body.epoch
    await this.#report(this.#has)
  }

  async tick (): Promise<void> {
    const before = this.#held
    this.#held = undefined
    const kind = this.#random.weighted(TICKS)
    if (kind === 'heartbeat') await this.#ask('POST', '/heartbeat', { world: 300 + this.#random.between(0, 200) })
    else if (kind === 'state') await this.#ask('GET', '/state')
    else if (kind === 'delta') await this.#deposit()
    else await this.#send(this.#change(kind))
    await before?.()
  }

  async signOut (): Promise<void> {
    await this.#held?.()
    this.#client.close()
  }

  async #send (containers: Containers): Promise<void> {
    const moment = { epoch: this.#epoch, seq: ++this.#seq }
    const report = async (): Promise<void> => { await this.#report(containers, moment) }
    if (this.#random.chance(LOST)) return
    if (this.#random.chance(LATE)) this.#held = report
    else if (this.#random.chance(REPEATED)) await Promise.all([report(), report()])
    else await report()
  }

  async #report (containers: Containers, moment: Moment = { epoch: this.#epoch, seq: ++this.#seq }): Promise<void> {
    const { status, body } = await this.#ask<Acknowledged>('POST', '/containers', { ...moment, capturedAt: new Date().toISOString(), containers })
    if (status !== 200) return
    for (const result of Object.values(body.results)) this.tally.noteResult(result)
    this.#group.ledger.note({ memberId: this.#member.memberId, ...moment, containers }, body)
  }

  async #deposit (): Promise<void> {
    const delta = { epoch: this.#epoch, seq: ++this.#seq, add: [this.#stack(50)] }
    const { status, body } = await this.#ask<{ result: string }>('POST', '/deltas', { ...delta, container: 'bank', deltaId: randomUUID() })
    if (status === 200) this.#group.ledger.noteDelta({ memberId: this.#member.memberId, ...delta }, body.result)
  }

  /** What a tick finds changed, and reports. */
  #change (kind: 'equal' | 'inventory' | 'bank' | 'shared' | 'equipment'): Containers {
    if (kind === 'equal') return this.#pick(['inventory', 'equipment'])
    this.#replace(kind === 'bank' ? 'inventory' : kind)
    if (kind !== 'bank') return this.#pick([kind])
    this.#replace('bank')
    return this.#pick(['bank', 'inventory'])
  }

  #replace (name: string): void {
    const items = [...this.#has[name]?.items ?? []]
    for (let i = this.#random.between(1, 3); i > 0; i--) items[this.#random.between(0, items.length - 1)] = this.#stack(name === 'inventory' || name === 'equipment' ? 1 : 1000)
    this.#has[name] = { items }
  }

  #pick (names: readonly string[]): Containers {
    return Object.fromEntries(names.map(name => [name, this.#has[name] ?? { items: [] }]))
  }

  #stacks (count: number): Pair[] {
    return Array.from({ length: count }, () => this.#stack(10_000))
  }

  #stack (most: number): Pair {
    return [this.#random.between(1, ITEMS), this.#random.between(1, most)]
  }

  async #ask<T> (method: 'GET' | 'POST', path: string, body?: object): Promise<Answered<T>> {
    try {
      const answered = await this.#client.ask<T>(method, path, body)
      this.tally.noteAnswer(`${method} ${path}`, answered.status, answered.ms)
      return answered
    } catch (error) {
      this.tally.noteFailure(error)
      return { status: 0, body: {} as T, ms: 0 }
    }
  }
}
