/** Columns as the types that the tables promise. What is something else is a defect, and throws. */
import type { Column } from '../../plugins/db/types.ts'

export function toText (column: Column | undefined): string {
  if (typeof column !== 'string') throw new TypeError(`expected text, got ${typeof column}`)
  return column
}

export function toTextOrNull (column: Column | undefined): string | null {
  return column === null ? null : toText(column)
}

export function toNumber (column: Column | undefined): number {
  if (typeof column !== 'number') throw new TypeError(`expected a number, got ${typeof column}`)
  return column
}

export function toNumberOrNull (column: Column | undefined): number | null {
  return column === null ? null : toNumber(column)
}

/** Milliseconds → ISO-8601. */
export function toTime (column: Column | undefined): string {
  return new Date(toNumber(column)).toISOString()
}

export function toTimeOrNull (column: Column | undefined): string | null {
  return column === null ? null : toTime(column)
}

/** 1 → true */
export function toFlag (column: Column | undefined): boolean {
  return toNumber(column) === 1
}
