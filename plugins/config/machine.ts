/**
 * What there is to share out: the memory and the processors that this process can use.
 *
 * What is kept true: `memoryBytes` is the smallest of the machine's memory and every cgroup limit that holds for the process, version 1 or 2, also
 * those of the groups further up. Anything that cannot be read counts as no limit.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path/posix'

export interface Machine {
  memoryBytes: number
  /** Where the figure comes from. */
  memoryOf: 'machine' | 'container'
  processors: number
}

export interface MachineFiles {
  /** Where the cgroup file systems are mounted. Default: /sys/fs/cgroup. */
  cgroupFolder?: string
  /** Which groups this process is in. Default: /proc/self/cgroup. */
  membershipFile?: string
}

export function readMachine (files: MachineFiles = {}): Machine {
  const limit = cgroupMemoryLimit(files)
  const total = totalmem()
  return {
    memoryBytes: Math.min(limit, total),
    memoryOf: limit < total ? 'container' : 'machine',
    processors: availableParallelism()
  }
}

/** The smallest cgroup memory limit in bytes, or Infinity. */
export function cgroupMemoryLimit ({ cgroupFolder = '/sys/fs/cgroup', membershipFile = '/proc/self/cgroup' }: MachineFiles = {}): number {
  const limits = [Infinity]
  for (const line of readText(membershipFile).split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (group === undefined || controllers === undefined) continue
    if (controllers === '') limits.push(...limitsUpwards(cgroupFolder, group, 'memory.max'))
    if (controllers.split(',').includes('memory')) limits.push(...limitsUpwards(join(cgroupFolder, 'memory'), group, 'memory.limit_in_bytes'))
  }
  // without a membership file, or with one that speaks of groups outside of the container: the root of what is mounted
  limits.push(...limitsUpwards(cgroupFolder, '/', 'memory.max'), ...limitsUpwards(join(cgroupFolder, 'memory'), '/', 'memory.limit_in_bytes'))
  return Math.min(...limits)
}

function limitsUpwards (root: string, group: string, file: string): number[] {
  const limits = []
  for (let folder = group; ; folder = dirname(folder)) {
    const text = readText(join(root, folder, file)).trim()
    // "max", and in version 1 a number near 2^63, mean that there is none
    if (/^[1-9]\d*$/.test(text)) limits.push(Number(text))
    if (folder === '/' || folder === '.') return limits
  }
}

function readText (path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
