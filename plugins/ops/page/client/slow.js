/** The slow log, by fingerprint. */

/** @import { SlowEntry } from './fingerprints.js' */

/** @param {string} url @returns {Promise<ReadonlyMap<string, SlowEntry>>} */
export async function readSlow (url) {
  try {
    const answer = await fetch(url)
    return answer.ok ? toEntries(await answer.json()) : new Map()
  } catch {
    return new Map()
  }
}

/** Of whatever came: what can be used of it. @param {unknown} body @returns {ReadonlyMap<string, SlowEntry>} */
export function toEntries (body) {
  const list = Array.isArray(body) ? body : isRecord(body) && Array.isArray(body['statements']) ? body['statements'] : []
  return new Map(list.filter(isRecord).map(({ fingerprint, plan, hints, planProblem, route }) => [toText(fingerprint), { fingerprint: toText(fingerprint), plan: toText(plan), hints: toText(hints), problem: toText(planProblem), route: toText(route) }]))
}

/** @param {unknown} value @returns {string} */
function toText (value) {
  return Array.isArray(value) ? value.map(toText).join('\n') : typeof value === 'string' ? value : ''
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isRecord (value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
