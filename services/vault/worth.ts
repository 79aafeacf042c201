/** What many things are worth together: exact, whatever the size, and quick while it is small. */

/** Exact: a number as long as that can hold it. */
export function multiply (quantity: number, price: number): number | bigint {
  const product = quantity * price
  return Number.isSafeInteger(product) ? product : BigInt(quantity) * BigInt(price)
}

export class Sum {
  #small = 0
  #large = 0n

  add (value: number | bigint): void {
    const sum = typeof value === 'number' ? this.#small + value : NaN
    if (Number.isSafeInteger(sum)) {
      this.#small = sum
    } else {
      this.#large += BigInt(this.#small) + BigInt(value)
      this.#small = 0
    }
  }

  /** Digits. */
  toString (): string {
    return String(this.#large + BigInt(this.#small))
  }
}
