/**
 * The JSON routes, as everybody can use them. What goes wrong is an `ApiError` with the code of the route, or with `OFFLINE` if no answer came.
 * The token that makes a change possible is in the page.
 */

const API = '/api/v1'

export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor (status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The JSON that the page came with. @template T @returns {T} */
export function readStart () {
  const text = document.getElementById('start')?.textContent ?? '{}'
  return /** @type {T} */ (JSON.parse(text))
}

/** @template T @param {string} path behind /api/v1 @returns {Promise<T>} */
export async function get (path) {
  return await request(API + path, { headers: { accept: 'application/json' } })
}

/** @template T @param {'POST' | 'PUT' | 'PATCH' | 'DELETE'} method @param {string} path behind /api/v1 @param {object} [body] @param {Record<string, string>} [headers] @returns {Promise<T>} */
export async function change (method, path, body, headers = {}) {
  const { csrfToken = '' } = /** @type {{ csrfToken?: string | null }} */ (readStart())
  return await request(API + path, {
    method,
    headers: { accept: 'application/json', 'x-csrf-token': csrfToken ?? '', ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) })
  })
}

/** @template T @param {string} url @param {RequestInit} options @returns {Promise<T>} */
export async function request (url, options) {
  const answer = await fetch(url, options).catch(() => { throw new ApiError(0, 'OFFLINE', 'The app cannot be reached. Try again in a moment.') })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') === true
  const body = /** @type {unknown} */ (isJson && text !== '' ? JSON.parse(text) : undefined)
  if (answer.ok) return /** @type {T} */ (body)
  const { code = 'UNKNOWN', message = 'It did not work. Try again in a moment.' } = /** @type {{ error?: { code?: string, message?: string } } | undefined} */ (body)?.error ?? {}
  throw new ApiError(answer.status, code, message)
}
