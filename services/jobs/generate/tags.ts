/** 20 tags, and which jobs have them: 3 in 100 have one, and of 1000 three more have two or more. */
import type { Value } from '../../../plugins/db/types.ts'
import { createRandom, type Random } from './random.ts'

const TAGS = 20

export const tags = Array.from({ length: TAGS }, (_, i) => ({ id: i + 1, type: ['app', 'jobClass', 'note', 'test'][i % 4] as string, name: `tag${i + 1}` }))

export class Taggings {
  readonly #random: Random
  #done = 0

  constructor (seed: number) {
    this.#random = createRandom(~seed)
  }

  /** How many jobs were looked at. */
  get done (): number {
    return this.#done
  }

  /** Of the next `count` jobs: the job's id and the tag's. */
  take (count: number): Value[][] {
    const pairs: Value[][] = []
    for (let i = 0; i < count; i++) {
      this.#done++
      const luck = this.#random()
      if (luck >= 0.033) continue
      const first = Math.floor(this.#random() * TAGS)
      const many = luck >= 0.003 ? 1 : 2 + Math.floor(this.#random() * 2)
      for (let tag = 0; tag < many; tag++) pairs.push([this.#done, 1 + (first + tag) % TAGS])
    }
    return pairs
  }
}
