/** What a process holds, read from /proc (Linux). */
import { readFileSync } from 'node:fs'

export interface Sample { readonly ms: number, readonly bytes: number, readonly phase: string }

/** Memory that is not backed by a file; 0 for a process that has ended. */
export function rssAnonBytes (pid: number): number {
  try {
    return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
