/** What a process holds, read from /proc (Linux). */
import { readFileSync } from 'node:fs'

export interface Sample { readonly ms: number, readonly bytes: number, readonly phase: string }

/** Memory that is not backed by a file; 0 for a process that has ended. */
export function rssAnonBytes (pid: number): number {
  return readMemory(pid)?.anonBytes ?? 0
}

/** `rssBytes`: all that is in memory of it, `anonBytes`: what of that is not backed by a file. Undefined for a process that has ended. */
export function readMemory (pid: number): { readonly rssBytes: number, readonly anonBytes: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
    const rssBytes = bytes('VmRSS')
    return rssBytes === 0 ? undefined : { rssBytes, anonBytes: bytes('RssAnon') }
  } catch {
    return undefined
  }
}
