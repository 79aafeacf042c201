/**
 * Pieces of SQL that carry their values along, so that a value can only ever become a bound parameter.
 *
 *     sql`job.cluster = ${cluster} AND ${other}`     a fragment is spliced in, anything else becomes `?` and a value
 *
 * Text that is not a literal of this program has one door, `identifier`, and that checks it.
 */
import type { Value } from '../../plugins/db/types.ts'

export class Fragment {
  readonly text: string
  readonly values: readonly Value[]
  constructor (text: string, values: readonly Value[] = []) {
    this.text = text
    this.values = values
  }
}

export function sql (strings: TemplateStringsArray, ...parts: Array<Value | Fragment>): Fragment {
  let text = strings[0] ?? ''
  const values: Value[] = []
  for (const [i, part] of parts.entries()) {
    if (part instanceof Fragment) values.push(...part.values)
    else values.push(part)
    text += (part instanceof Fragment ? part.text : '?') + (strings[i + 1] ?? '')
  }
  return new Fragment(text, values)
}

/** An integer that both engines can hold, from its digits; undefined for anything else. */
export function toInteger (digits: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(digits)) return undefined
  const integer = BigInt(digits)
  return BigInt.asIntN(64, integer) === integer ? integer : undefined
}

export const empty = sql``
/** Holds for no row. */
export const never = sql`FALSE`

export function join (fragments: readonly Fragment[], separator: string): Fragment {
  return new Fragment(fragments.map(fragment => fragment.text).join(separator), fragments.flatMap(fragment => fragment.values))
}

/** A name from a list in this program, such as a column. Throws for anything that would need quotes. */
export function identifier (name: string): Fragment {
  if (!/^[a-z_]+(\.[a-z_]+)?$/.test(name)) throw new TypeError(`not a plain SQL name: ${name}`)
  return new Fragment(name)
}

/**
 * `(?, ?, ?, …)` for IN. The last value is repeated up to a round number, so that lists of any length make few statements, which can be kept prepared.
 */
export function list (values: readonly [Value, ...Value[]]): Fragment {
  const padding = new Array<Value>(roundUp(values.length) - values.length).fill(values.at(-1) ?? null)
  return sql`(${join([...values, ...padding].map(value => sql`${value}`), ', ')})`
}

function roundUp (length: number): number {
  return length > 4096 ? Math.ceil(length / 4096) * 4096 : 2 ** Math.ceil(Math.log2(length))
}

export function isNonEmpty<T> (values: readonly T[]): values is readonly [T, ...T[]] {
  return values.length > 0
}

/** ` WHERE a AND b`, or nothing. */
export function where (conditions: readonly Fragment[]): Fragment {
  return conditions.length === 0 ? empty : sql` WHERE ${join(conditions, ' AND ')}`
}
