/**
 * One thing that is wrong with the configuration, and how it is told.
 *
 * What is kept true: a problem is one line; the value in it is shortened, has no control characters and, where it could hold a password, is redacted.
 */
import { redact } from './url.ts'

export interface Problem {
  readonly variable: string
  /** As written. Undefined: not to be shown. */
  readonly value: string | undefined
  readonly expected: string
  readonly instead: string
}

/** `DB_POOL_MAX=ten: expected a whole number; write digits only, for example 4.` */
export function problemLine ({ variable, value, expected, instead }: Problem, secret = false): string {
  const given = value === undefined ? variable : `${variable}=${showValue(value, secret)}`
  return `${given}: expected ${expected}; write ${instead}.`
}

/** A value fit for logs: whatever looks like a URL or an address with credentials is redacted, also in variables that should not hold one. */
export function showValue (value: string, secret = false): string {
  const shown = secret || /:\/\/|@/.test(value) ? redact(value) : value
  const printable = shown.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
  return printable.length > 80 ? `${printable.slice(0, 79)}…` : printable
}
