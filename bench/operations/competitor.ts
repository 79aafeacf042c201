/** A contender's process (process.ts) as its parent sees it: its answers, its turns, and what it has written. */
import type { EngineName } from '../../plugins/db/types.ts'
import type { Entrant, Operation } from '../contenders/contender.ts'
import { audit } from '../contenders/data.ts'
import { Child } from '../measure/child.ts'
import type { Asked, ContenderJob, Speed, Told, Turn } from './process.ts'

export class Competitor {
  readonly name: string
  readonly #entrant: Entrant
  readonly #job: ContenderJob
  readonly #child: Child<Told>
  #transfers = 0
  #notes = 0

  private constructor (entrant: Entrant, job: ContenderJob) {
    this.name = entrant.name
    this.#entrant = entrant
    this.#job = job
    this.#child = new Child<Told>(new URL('process.ts', import.meta.url), job)
  }

  /** `target`: a database of its own, with the tables of ../contenders/data.ts. Rejects when the contender cannot be opened. */
  static async start (engine: EngineName, entrant: Entrant, target: string, rows: number): Promise<Competitor> {
    const competitor = new Competitor(entrant, { engine, name: entrant.name, target, rows })
    await competitor.#child.next()
    return competitor
  }

  can (operation: Operation): boolean {
    return this.#entrant.can.includes(operation)
  }

  /** What is wrong with its answers. */
  async check (): Promise<readonly string[]> {
    const told = await this.#ask('check')
    return 'problems' in told ? told.problems : ['it says nothing about its answers']
  }

  async work (turn: Turn): Promise<Speed> {
    const told = await this.#ask(turn)
    if (!('speed' in told)) throw new Error(`${this.name} has not worked`)
    if (turn.operation === 'transfer') this.#transfers += told.speed.count
    if (turn.operation === 'insert') this.#notes += told.speed.count
    return told.speed
  }

  /** Closes it, and says what is wrong with what it has written. */
  async finish (): Promise<readonly string[]> {
    await this.#ask('close')
    await this.#child.ended
    const { engine, target } = this.#job
    return (await audit(engine, target, { transfers: this.#transfers, notes: this.#notes })).map(problem => `${this.name}: ${problem}`)
  }

  /** Whatever it does. */
  kill (): void {
    this.#child.process.kill('SIGKILL')
  }

  async #ask (asked: Asked): Promise<Told> {
    const next = this.#child.next()
    this.#child.tell(asked)
    const told = await next
    if ('failed' in told) throw new Error(`${this.name}: ${told.failed}`)
    return told
  }
}
