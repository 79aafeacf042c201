/**
 * A bounded map that keeps what is used: two generations, the older one is dropped when the younger one is full.
 * Holds between `size` and 2 × `size` entries. A hit in the young generation changes nothing, which keeps the hot path of a statement short.
 */
export class Cache<K, V> {
  #young = new Map<K, V>()
  #old = new Map<K, V>()
  readonly #size: number

  constructor (size: number) {
    this.#size = size
  }

  get (key: K): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const older = this.#old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set (key: K, value: V): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
