/**
 * What a statement has to answer: asked of the server by plain pg, as text, and converted by what docs and types.ts say; nothing of the engine is used.
 */
import pg from 'pg'
import type { Value } from '../../../plugins/db/types.ts'

/** Rows as lists of their columns, sorted by name, or an error's SQLSTATE. */
export type Outcome = { readonly rows: ReadonlyArray<ReadonlyArray<readonly [name: string, value: unknown]>> } | { readonly error: string }

type Convert = (text: string) => unknown

const integer: Convert = text => {
  const exact = BigInt(text)
  return exact >= -(2n ** 53n) + 1n && exact < 2n ** 53n ? Number(exact) : exact
}

/** A number that says the same digits, an integer, or the text. */
const numeric: Convert = text => {
  const [whole = '', fraction = ''] = text.split('.')
  const isWhole = [...fraction].every(digit => digit === '0')
  if (isWhole && !/[a-z]/i.test(whole)) return integer(whole)
  const shortest = isWhole ? whole : `${whole}.${[...fraction].reduceRight((end, digit) => end === '' && digit === '0' ? '' : digit + end, '')}`
  return `${Number(shortest)}` === shortest ? Number(shortest) : text
}

/** '2026-03-29 01:59:59.5+00': ISO with milliseconds, or microseconds where they are set. */
const moment: Convert = text => {
  if (text.endsWith('BC') || text.endsWith('infinity')) return text
  const [day = '', clock = ''] = text.replace('+00', '').split(' ')
  const [seconds = '', fraction = ''] = clock.split('.')
  return `${day}T${seconds}.${`${fraction}000`.slice(0, Math.max(3, fraction.length > 3 ? 6 : 3)).padEnd(fraction.length > 3 ? 6 : 3, '0')}Z`
}

/** By the names of pg's own list; all else is text. */
const { BOOL, BYTEA, INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC, TIMESTAMP, TIMESTAMPTZ } = pg.types.builtins
const converts = new Map<number, Convert>([
  [BOOL, text => Number(text === 't')], [BYTEA, text => Buffer.from(text.slice(2), 'hex')], [INT2, integer], [INT4, integer], [INT8, integer], [OID, integer],
  [FLOAT4, Number], [FLOAT8, Number], [NUMERIC, numeric], [TIMESTAMP, moment], [TIMESTAMPTZ, moment]
])

export class Reference {
  readonly #client: pg.Client

  private constructor (client: pg.Client) {
    this.#client = client
  }

  static async connect (url: string): Promise<Reference> {
    const client = new pg.Client({ connectionString: url, application_name: 'reference', types: { getTypeParser: () => (text: string | Buffer) => text } })
    await client.connect()
    await client.query("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
    return new Reference(client)
  }

  /** What a read answers. */
  async ask (sql: string, values: readonly Value[]): Promise<Outcome> {
    let n = 0
    const text = sql.replace(/CAST\(\? AS/g, () => `CAST($${++n} AS`)
    try {
      const { rows, fields } = await this.#client.query<unknown[]>({ text, values: [...values], rowMode: 'array' })
      return { rows: (rows as unknown as Array<Array<string | null>>).map(row => canonical(fields.map((field, i) => [field.name, convert(field.dataTypeID, row[i] ?? null)] as const))) }
    } catch (error) {
      return { error: (error as { code: string }).code }
    }
  }

  /** All rows of a statement that is not under test. */
  async rows (sql: string): Promise<unknown[]> {
    return (await this.#client.query<Record<string, unknown>>(sql)).rows
  }

  async end (): Promise<void> {
    await this.#client.end()
  }
}

function convert (oid: number, text: string | null): unknown {
  return text === null ? null : converts.get(oid)?.(text) ?? text
}

/** Of two columns with one name the last; in an order that does not depend on objects. */
export function canonical (columns: ReadonlyArray<readonly [string, unknown]>): Array<readonly [string, unknown]> {
  return [...new Map(columns)].sort(([a], [b]) => a < b ? -1 : 1)
}
