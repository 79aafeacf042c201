/**
 * JSON in one form, whoever has written it: PostgreSQL's jsonb sorts keys in its own way and puts blanks between.
 *
 * What is kept true: two texts have one form only if jsonb takes them for the same. A text with a number that a double might round is left alone.
 */

/** Many digits, an exponent; or a letter that is written as a number, behind which there may be more of either. */
const RISKY = /[\d.]{16}|\d[eE][+-]?\d|\\u/

export function hasManyForms (json: string): boolean {
  return RISKY.test(json)
}

/** As it is, if it is no JSON. */
export function spellJson (json: string): string {
  if (RISKY.test(json)) return json
  try {
    return spell(JSON.parse(json))
  } catch {
    return json
  }
}

function spell (value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(spell).join()}]`
  const object = value as Record<string, unknown>
  return `{${Object.keys(object).sort().map(key => `${JSON.stringify(key)}:${spell(object[key])}`).join()}}`
}
