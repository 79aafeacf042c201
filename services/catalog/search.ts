/**
 * The search language of item names, as players know it: `rune|dragon` is either, `"rune scimitar"` the whole name, digits the id; all else a part of the name, whatever
 * its case.
 */

export interface Named { readonly itemId: number, readonly norm: string }

export const LONGEST_SEARCH = 200

/** Names as they are compared and sorted: on both engines alike, since no engine does it. */
export function normalizeItemName (name: string): string {
  return name.normalize('NFKC').replaceAll('’', '\'').trim().toLowerCase()
}

/** What is looked for. Undefined: everything. */
export function parseSearch (text: string): ((item: Named) => boolean) | undefined {
  const terms = text.split('|').map(normalizeItemName).filter(term => term !== '').map(toTerm)
  return terms.length === 0 ? undefined : item => terms.some(matches => matches(item))
}

function toTerm (term: string): (item: Named) => boolean {
  const [, exact] = /^"(.+)"$/.exec(term) ?? []
  if (exact !== undefined) return ({ norm }) => norm === exact.trim()
  if (/^\d+$/.test(term)) return ({ itemId }) => itemId === Number(term)
  return ({ norm }) => norm.includes(term)
}
