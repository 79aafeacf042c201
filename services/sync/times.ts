/** Times that plugins send. */
import { refuse } from './content.ts'

/** Milliseconds since 1970. Throws `VALIDATION` for what looks like a time and is none, such as a leap second. */
export function readTime (text: string, pointer: string): number {
  const ms = Date.parse(text)
  if (!Number.isSafeInteger(ms) || ms < 0) throw refuse(pointer, 'is not a time since 1970')
  return ms
}
