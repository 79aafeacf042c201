/**
 * Sizes, durations and whole numbers, from text to number and back.
 *
 * What is kept true:
 *  1. A text has one meaning or is refused: `200M`, `10m`, `1,5s` and a bare page count are refused with what to write instead.
 *  2. What a refusal tells to write is accepted.
 * It refuses to know the environment, the variables and each other's limits.
 */

/** Why a text cannot be used, and what to write. Neither part quotes the text. */
export interface Refusal { expected: string, instead: string }

export type Parsed<T> = { ok: true, value: T } | ({ ok: false } & Refusal)

export function accept<T> (value: T): Parsed<T> {
  return { ok: true, value }
}

export function refuse (expected: string, instead: string): { ok: false } & Refusal {
  return { ok: false, expected, instead }
}

const sizeUnits: Record<string, number> = {
  b: 1,
  kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12,
  kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40
}
const durationUnits: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 }

const sizeForms = 'a size such as 200MB (decimal), 2GiB (binary) or 25% (of the memory)'
const cacheForms = `${sizeForms}, or SQLite's own -16000 for 16000 KiB`
const durationForms = 'a duration such as 250ms, 30s, 10min or 1h (a bare number counts ms)'

/** `12.5`, unit apart: number and unit in lower case, or undefined. */
function splitUnit (text: string): { amount: number, unit: string } | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*|%)$/i.exec(text)
  return match === null ? undefined : { amount: Number(match[1]), unit: (match[2] ?? '').toLowerCase() }
}

/** A size in bytes. `memoryBytes` is what percentages are of. A bare number counts bytes, as in `PRAGMA soft_heap_limit`. */
export function parseSize (text: string, memoryBytes: number): Parsed<number> {
  const { amount, unit } = splitUnit(text) ?? {}
  if (amount === undefined || unit === undefined) return refuse(sizeForms, 'a positive number with a unit, for example 200MB')
  if (unit === '%') return parsePercentage(amount, memoryBytes)
  if (/^[kmgt]$/.test(unit)) return refuse(sizeForms, `${amount}${unit.toUpperCase()}B (decimal) or ${amount}${unit.toUpperCase()}iB (binary)`)
  const factor = unit === '' ? 1 : sizeUnits[unit]
  if (factor === undefined) return refuse(sizeForms, 'one of the units B, kB, MB, GB, TB, KiB, MiB, GiB, TiB or %')
  const bytes = Math.round(amount * factor)
  return Number.isSafeInteger(bytes) ? accept(bytes) : refuse(sizeForms, 'a smaller number')
}

function parsePercentage (amount: number, memoryBytes: number): Parsed<number> {
  if (amount > 100) return refuse('a share of the memory of at most 100%', '100% or less')
  return accept(Math.floor(memoryBytes * amount / 100))
}

/** The page cache of one connection in bytes: a size, or SQLite's `-N` for N KiB. A bare number would count pages in SQLite and is refused. */
export function parseCacheSize (text: string, memoryBytes: number): Parsed<number> {
  if (/^-\d+$/.test(text)) return parseSize(`${text.slice(1)}KiB`, memoryBytes)
  if (/^\d*[1-9]\d*$/.test(text)) return refusePageCount(Number(text))
  const parsed = parseSize(text, memoryBytes)
  return parsed.ok ? parsed : { ...parsed, expected: cacheForms }
}

/** With `PRAGMA cache_size=1000000000` people mean "much" and get 4 TB: see docs/sqlite-memory.md. */
function refusePageCount (pages: number): Parsed<number> {
  const meaning = `to SQLite a bare number counts pages, and so many pages of 4 KiB are ${formatBytes(pages * 4096)} for each connection`
  const bytes = Number.isSafeInteger(pages) ? `; if it was meant to count bytes ${pages}B, KiB -${pages}` : ''
  return refuse(`${cacheForms}; ${meaning}`, `16MB (the default)${bytes}`)
}

/** A duration in milliseconds. */
export function parseDuration (text: string): Parsed<number> {
  const { amount, unit } = splitUnit(text) ?? {}
  if (amount === undefined || unit === undefined) return refuse(durationForms, 'a number with a unit, for example 30s')
  if (unit === 'm') return refuse(durationForms, `${amount}min (minutes) or ${amount}ms (milliseconds)`)
  const factor = unit === '' ? 1 : durationUnits[unit]
  if (factor === undefined) return refuse(durationForms, 'one of the units ms, s, min or h')
  return accept(amount * factor)
}

export function parseInteger (text: string): Parsed<number> {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return accept(value)
  return refuse('a whole number', 'digits only, for example 4')
}

/** What people have to know to be let in. */
export function parseToken (text: string, minimum: number): Parsed<string> {
  if (text.length >= minimum && !/\s/.test(text)) return accept(text)
  return refuse(`${minimum} characters or more, without blanks`, 'for example what "openssl rand -hex 32" prints')
}

export function parseWord (text: string, words: readonly string[]): Parsed<string> {
  const found = words.find(word => word === text.toLowerCase())
  return found === undefined ? refuse(words.join(' or '), words.join(' or ')) : accept(found)
}

/**
 * A size as it could be written: exactly where a unit divides it (`16MB`, `2GiB`), otherwise with three digits, rounded as told.
 * The rounding matters where a message tells a bound that has to be kept. `none` for Infinity.
 */
export function formatBytes (bytes: number, round: 'nearest' | 'down' | 'up' = 'nearest'): string {
  if (bytes === Infinity) return 'none'
  for (const unit of ['TiB', 'TB', 'GiB', 'GB', 'MiB', 'MB', 'KiB', 'kB'] as const) {
    const factor = sizeUnits[unit.toLowerCase()] ?? 1
    if (bytes >= factor && bytes % factor === 0 && bytes / factor < 1000) return `${bytes / factor}${unit}`
  }
  const [unit, factor] = bytes >= 1e12 ? ['TB', 1e12] : bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : bytes >= 1e3 ? ['kB', 1e3] : ['B', 1]
  return `${threeDigits(bytes / Number(factor), round)}${unit}`
}

function threeDigits (value: number, round: 'nearest' | 'down' | 'up'): number {
  const step = value >= 100 ? 1 : value >= 10 ? 10 : 100
  const how = { nearest: Math.round, down: Math.floor, up: Math.ceil }[round]
  return how(value * step) / step
}

/** A duration as it could be written: `30s`, `10min`, `250ms`; `none` for Infinity. */
export function formatDuration (ms: number): string {
  if (ms === Infinity) return 'none'
  for (const unit of ['h', 'min', 's'] as const) {
    const factor = durationUnits[unit] ?? 1
    if (ms >= factor && ms % factor === 0 && (unit !== 'min' || ms !== factor)) return `${ms / factor}${unit}`
  }
  return `${ms}ms`
}
