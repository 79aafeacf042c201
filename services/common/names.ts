/** Names of people and groups, as they are compared: `Zezima_X`, `zezima x` and `ZEZIMA-x` are one. */

/** NFKC; blanks of every kind, `-` and `_` are a space; without those at the ends; in lower case. Runs of spaces stay. */
export function normalizeName (name: string): string {
  return name.normalize('NFKC').replace(/[\s\-_]/gu, ' ').trim().toLowerCase()
}

/** True if its normal form has 1 to `longest` characters and none that cannot be seen. */
export function isName (name: string, longest: number): boolean {
  const length = Array.from(normalizeName(name)).length
  return length >= 1 && length <= longest && !/\p{C}/u.test(name)
}

export const LONGEST_CHARACTER_NAME = 12
export const LONGEST_GROUP_NAME = 30
