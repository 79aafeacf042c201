/** Figures with their units. A narrow no-break space keeps the two together. */

const SPACE = '\u202F'

/** 0.042 → '0.042 ms', 4.2 → '4.2 ms', 4200 → '4.2 s', 192000 → '3 min 12 s' @param {number} ms @returns {string} */
export function formatMs (ms) {
  if (ms < 0) return `−${formatMs(-ms)}`
  if (ms < 999.5) return `${digits(ms)}${SPACE}ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}${SPACE}s`
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}${SPACE}min ${seconds % 60}${SPACE}s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours}${SPACE}h ${minutes % 60}${SPACE}min` : `${Math.floor(hours / 24)}${SPACE}d ${hours % 24}${SPACE}h`
}

/** Whole seconds, for what counts up while it is looked at. @param {number} ms @returns {string} */
export function formatAge (ms) {
  return ms < 999.5 ? formatMs(Math.max(0, Math.round(ms))) : ms < 10_000 ? formatMs(ms) : ms < 60_000 ? `${Math.floor(ms / 1000)}${SPACE}s` : formatMs(ms)
}

/** In the units of the configuration: 1 MB is a million bytes. @param {number} bytes @returns {string} */
export function formatBytes (bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  let size = bytes
  while (size >= 999.5 && i < units.length - 1) {
    size /= 1000
    i++
  }
  return `${i === 0 ? size : digits(size)}${SPACE}${units[i]}`
}

/** 1234567 → '1,234,567' @param {number} count @returns {string} */
export function formatCount (count) {
  return Math.round(count).toLocaleString('en-US')
}

/** A second. @param {number} rate @returns {string} */
export function formatRate (rate) {
  return `${rate < 99.95 ? digits(rate) : formatCount(rate)}${SPACE}/s`
}

/** 'one statement', '3 statements' @param {number} count @param {string} one @param {string} [many] @returns {string} */
export function plural (count, one, many = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

/** Of the day, local. @param {number} at @returns {string} */
export function formatClock (at) {
  return new Date(at).toLocaleTimeString('en-GB')
}

/** Three that count, as far as they are there. @param {number} value @returns {string} */
function digits (value) {
  if (value === 0) return '0'
  if (value < 0.1) return value.toFixed(3)
  if (value < 0.995) return value.toFixed(2)
  if (value < 9.95) return value.toFixed(1)
  return String(Math.round(value))
}
