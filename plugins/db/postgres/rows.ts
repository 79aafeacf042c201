/**
 * Rows out of PostgreSQL's messages: for each shape of a row a function is generated that reads its columns one after the other, which is several times as fast as a
 * loop over a list of columns. Where generating code is forbidden (`--disallow-code-generation-from-strings`) a loop does the same.
 */
import type { Column, Row } from '../types.ts'
import { decoderOf, type DecodeColumn } from './values.ts'

/** The row whose first column's length stands at `offset`. */
export type DecodeRow = (buffer: Buffer, offset: number) => Row

interface Field { readonly name: string, readonly decode: DecodeColumn }

/** For a RowDescription that begins at `start`. Of two columns with one name the last is kept. */
export function decodeRowsOf (buffer: Buffer, start: number): DecodeRow {
  return rowDecoder(readFields(buffer, start))
}

/** https://www.postgresql.org/docs/18/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION */
function readFields (buffer: Buffer, start: number): Field[] {
  const fields: Field[] = []
  let offset = start + 2
  for (let count = buffer.readInt16BE(start); count > 0; count--) {
    const end = buffer.indexOf(0, offset)
    const name = buffer.toString('utf8', offset, end)
    fields.push({ name, decode: decoderOf(buffer.readInt32BE(end + 7)) }) // behind the table (4 bytes) and the number of the column (2)
    offset = end + 19
  }
  return fields
}

let mayGenerate = true

function rowDecoder (fields: readonly Field[]): DecodeRow {
  if (mayGenerate) {
    try {
      return generate(fields)
    } catch (error) {
      if (!(error instanceof EvalError)) throw error
      mayGenerate = false
    }
  }
  return loop(fields)
}

/** Columns that are not kept are passed over. */
function generate (fields: readonly Field[]): DecodeRow {
  const last = new Map(fields.map(({ name }, i) => [name, i]))
  const read = fields.map(({ name }, i) => last.get(name) === i
    ? `let v${i} = null; n = ${LENGTH}; o += 4; if (n >= 0) { v${i} = d[${i}](b, o, o + n); o += n }`
    : `n = ${LENGTH}; o += 4; if (n > 0) o += n`)
  // "__proto__" in brackets is a property like any other
  const properties = [...last].map(([name, i]) => `${name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)}: v${i}`)
  // oxlint-disable-next-line typescript/no-implied-eval -- of names that are quoted, and nothing else
  const make = new Function('d', `return (b, o) => { let n = 0; ${read.join('; ')}; return { ${properties.join(', ')} } }`) as (decoders: DecodeColumn[]) => DecodeRow
  return make(fields.map(({ decode }) => decode))
}

const LENGTH = '(b[o] << 24 | b[o + 1] << 16 | b[o + 2] << 8 | b[o + 3])'

function loop (fields: readonly Field[]): DecodeRow {
  return (buffer, start) => {
    const row: Row = {}
    let offset = start
    for (const { name, decode } of fields) {
      const length = buffer.readInt32BE(offset)
      offset += 4
      const column: Column = length < 0 ? null : decode(buffer, offset, offset + length)
      if (length > 0) offset += length
      if (name === '__proto__') Object.defineProperty(row, name, { value: column, enumerable: true, configurable: true, writable: true })
      else row[name] = column
    }
    return row
  }
}
