/**
 * Checks of what the store functions are given, beyond what their types say: values come out of JSON.
 *
 * What is kept true: what passes, both engines take (no U+0000 and no half of a surrogate pair in text, no number beyond 2^53). All throw `TDM_ERR_JOBS_BAD_INPUT`, which names
 * the field.
 */
import type { Static, TSchema } from 'typebox'
import { Check, Errors } from 'typebox/value'
import { JobsBadInput } from './errors.ts'

export function checkInteger (name: string, value: unknown, minimum: number): void {
  if (!Number.isSafeInteger(value) || Number(value) < minimum) throw new JobsBadInput(name, `must be an integer of at least ${minimum}, got ${show(value)}`)
}

/** `undefined` passes: a field that was left out. */
export function checkOptionalInteger (name: string, value: unknown, minimum: number): void {
  if (value !== undefined) checkInteger(name, value, minimum)
}

export function checkOneOf (name: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.some(one => one === value)) throw new JobsBadInput(name, `must be one of ${allowed.join(', ')}, got ${show(value)}`)
}

export function checkText (name: string, value: unknown): void {
  if (typeof value !== 'string') throw new JobsBadInput(name, `must be text, got ${show(value)}`)
  if (value.includes('\0') || !value.isWellFormed()) throw new JobsBadInput(name, 'must not contain U+0000 or half of a surrogate pair')
}

/** The value has the form of the schema, and its texts can be stored. */
export function checkSchema (name: string, schema: TSchema, value: unknown): asserts value is Static<typeof schema> {
  if (!Check(schema, value)) {
    const [first] = Errors(schema, value)
    throw new JobsBadInput(`${name}${first?.instancePath ?? ''}`, first?.message ?? 'is not valid')
  }
  checkTexts(name, value)
}

function checkTexts (name: string, value: unknown): void {
  if (typeof value === 'string') checkText(name, value)
  if (typeof value !== 'object' || value === null) return
  for (const [key, part] of Object.entries(value)) {
    checkText(name, key)
    checkTexts(`${name}/${key}`, part)
  }
}

function show (value: unknown): string {
  return typeof value === 'string' ? `"${value.slice(0, 40)}"` : String(value).slice(0, 40)
}
