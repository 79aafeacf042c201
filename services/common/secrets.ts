/**
 * Secrets that are handed out, and how they are recognised.
 *
 * What is kept true: tables hold the SHA-256 of a secret and never the secret; a secret is random, so a slow hash would add nothing. A token that was mistyped is known
 * by its checksum, without a look at the database.
 */
import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 32 bytes as 43 digits, and 32 bits as 6. */
const SECRET_DIGITS = 43
const CHECK_DIGITS = 6

/** 256 random bits for a URL or a cookie. */
export function newSecret (): string {
  return randomBytes(32).toString('base64url')
}

/** `gv_`, 256 random bits, and 6 characters that check them. */
export function newToken (prefix: string): string {
  const secret = toBase62(BigInt(`0x${randomBytes(32).toString('hex')}`), SECRET_DIGITS)
  return `${prefix}_${secret}${checksumOf(secret)}`
}

/** False for what is not such a token, or was mistyped. */
export function isToken (prefix: string, text: string): boolean {
  const [, secret = '', check = ''] = new RegExp(`^${prefix}_([0-9A-Za-z]{${SECRET_DIGITS}})([0-9A-Za-z]{${CHECK_DIGITS}})$`).exec(text) ?? []
  return secret !== '' && checksumOf(secret) === check
}

/** Hexadecimal. */
export function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Hexadecimal HMAC-SHA256. */
export function sign (key: string, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex')
}

/** Takes as long for a near miss as for a wide one. */
export function isSameSecret (a: string, b: string): boolean {
  const [x, y] = [a, b].map(text => createHash('sha256').update(text).digest())
  return x !== undefined && y !== undefined && timingSafeEqual(x, y)
}

/** The consonants of RFC 8628, section 6.1: codes that people read aloud, and that spell nothing. */
export const CODE_LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
export const CODE_LENGTH = 8

/** 8 of these letters. */
export function newCode (): string {
  return Array.from({ length: CODE_LENGTH }, () => CODE_LETTERS[randomInt(CODE_LETTERS.length)]).join('')
}

/** As it is kept, whatever case, spaces and dashes it was typed with. Undefined: it is none. */
export function parseCode (text: string): string | undefined {
  const code = text.toUpperCase().replace(/[\s-]/g, '')
  return code.length === CODE_LENGTH && Array.from(code).every(letter => CODE_LETTERS.includes(letter)) ? code : undefined
}

/** `WDJB-MJHT` */
export function formatCode (code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

function checksumOf (secret: string): string {
  return toBase62(BigInt(crc32(secret)), CHECK_DIGITS)
}

function toBase62 (number: bigint, length: number): string {
  let rest = number
  let digits = ''
  for (let i = 0; i < length; i++, rest /= 62n) digits = (BASE62[Number(rest % 62n)] ?? '') + digits
  return digits
}
