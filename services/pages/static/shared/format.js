/** Quantities, values and times as people of the game write them. For the server and the browser. */

/**
 * As on a stack of the game: `12,345` below 100,000, then `123K`, `12M` from ten millions and `1B` from a thousand millions, always rounded down.
 * @param {number} quantity
 */
export function shortQuantity (quantity) {
  if (quantity < 100_000) return fullAmount(quantity)
  if (quantity < 10_000_000) return `${Math.floor(quantity / 1000)}K`
  if (quantity < 1_000_000_000) return `${Math.floor(quantity / 1_000_000)}M`
  return `${Math.floor(quantity / 1_000_000_000)}B`
}

/** For small cells: K from a thousand on. @param {number} quantity */
export function tinyQuantity (quantity) {
  return quantity >= 1000 && quantity < 100_000 ? `${Math.floor(quantity / 1000)}K` : shortQuantity(quantity)
}

/** `1,234,567` @param {number | string | bigint} amount */
export function fullAmount (amount) {
  return String(amount).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

const UNITS = /** @type {const} */ ([['T', 10n ** 12n], ['B', 10n ** 9n], ['M', 10n ** 6n], ['K', 10n ** 3n]])

/**
 * A value in three or four digits: `950`, `12.3K`, `1.24B`. Rounded down.
 * @param {string | number | bigint} amount whole; a text for what a number cannot hold
 */
export function shortAmount (amount) {
  const whole = BigInt(amount)
  const [unit, size] = UNITS.find(([, size]) => whole >= size) ?? ['', 1n]
  if (size === 1n) return String(whole)
  const digits = whole >= 100n * size ? 0 : whole >= 10n * size ? 1 : 2
  const scaled = String(whole * 10n ** BigInt(digits) / size)
  const text = digits === 0 ? scaled : `${scaled.slice(0, -digits)}.${scaled.slice(-digits)}`
  return `${text.replace(/\.0+$|(\.\d)0$/, '$1')}${unit}`
}

const MINUTE = 60_000

/**
 * How long ago: `just now`, `5 min`, `3 h`, `2 d`.
 * @param {string | null | undefined} time
 * @param {number} now milliseconds since 1970
 * @param {string} [never] for what has not happened
 */
export function ageOf (time, now, never = 'never') {
  if (time == null) return never
  const age = now - Date.parse(time)
  if (age < MINUTE) return 'just now'
  if (age < 60 * MINUTE) return `${Math.floor(age / MINUTE)} min`
  if (age < 48 * 60 * MINUTE) return `${Math.floor(age / (60 * MINUTE))} h`
  return `${Math.floor(age / (24 * 60 * MINUTE))} d`
}

/** As `ageOf`, in a sentence: `5 min ago`. @param {string | null | undefined} time @param {number} now @param {string} [never] */
export function agoOf (time, now, never = 'never') {
  const age = ageOf(time, now, never)
  return age === never || age === 'just now' ? age : `${age} ago`
}

/** `26 Nov 2026, 20:59 UTC` @param {string} time */
export function fullTime (time) {
  const date = new Date(time)
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][date.getUTCMonth()] ?? ''
  return `${date.getUTCDate()} ${month} ${date.getUTCFullYear()}, ${time.slice(11, 16)} UTC`
}

/** `1 item`, `2 items` @param {number} count @param {string} one @param {string} [many] */
export function counted (count, one, many = `${one}s`) {
  return `${fullAmount(count)} ${count === 1 ? one : many}`
}
