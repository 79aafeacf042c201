/** Load on a web server: by wrk, or by autocannon (of bench/package.json) where there is no wrk. Both send the next request of a connection when the last was answered. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isInstalled, load } from '../packages.ts'

export interface Request { readonly url: string, readonly method: 'GET' | 'POST' }

export interface Load {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Answers that are not 2xx, and requests without an answer. */
  readonly failed: number
}

export interface LoadTool {
  readonly name: string
  readonly run: (request: Request, connections: number, seconds: number) => Promise<Load>
}

const execute = promisify(execFile)

/** `folder`: where wrk's script may be. Throws if there is neither. */
export async function findLoadTool (folder: string): Promise<LoadTool> {
  if (await execute('wrk', ['--version']).then(() => true, hasRun)) return { name: 'wrk', run: wrkIn(folder) }
  if (isInstalled('autocannon')) return { name: 'autocannon', run: await loadAutocannon() }
  throw new Error('there is neither wrk nor autocannon (npm run bench:setup)')
}

// --- wrk -------------------------------------------------------------------------------------------------------------------------

/** `wrk --version` ends with 1. */
function hasRun (error: { code?: unknown }): boolean {
  return error.code !== 'ENOENT'
}

function wrkIn (folder: string): LoadTool['run'] {
  const post = join(folder, 'post.lua')
  writeFileSync(post, 'wrk.method = "POST"\n')
  return async ({ url, method }, connections, seconds) => {
    const script = method === 'POST' ? ['-s', post] : []
    const { stdout } = await execute('wrk', ['-t1', `-c${connections}`, `-d${Math.max(1, Math.round(seconds))}s`, '--timeout', '10s', '--latency', ...script, url])
    return readWrk(stdout)
  }
}

/** Reads what wrk prints. */
export function readWrk (text: string): Load {
  const find = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1]
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? []
  return {
    requests: Number(find(/(\d+) requests in/)),
    perSecond: Number(find(/Requests\/sec:\s+([\d.]+)/)),
    p50Ms: readDuration(find(/50%\s+(\S+)/) ?? ''),
    p99Ms: readDuration(find(/99%\s+(\S+)/) ?? ''),
    failed: [find(/Non-2xx or 3xx responses: (\d+)/) ?? '0', ...sockets].reduce((sum, count) => sum + Number(count), 0)
  }
}

/** '1.20ms' → 1.2 */
function readDuration (text: string): number {
  const [, number, unit = ''] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? []
  const ms: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }
  return Number(number) * (ms[unit] ?? NaN)
}

// --- autocannon ------------------------------------------------------------------------------------------------------------------

/** What of it is used here. */
interface Autocannon {
  default: (options: object) => Promise<{ requests: { total: number }, duration: number, latency: { p50: number, p99: number }, non2xx: number, errors: number }>
}

async function loadAutocannon (): Promise<LoadTool['run']> {
  const { default: autocannon } = await load<Autocannon>('autocannon')
  return async ({ url, method }, connections, seconds) => {
    const { requests, duration, latency, non2xx, errors } = await autocannon({ url, method, connections, duration: seconds })
    return { requests: requests.total, perSecond: requests.total / duration, p50Ms: latency.p50, p99Ms: latency.p99, failed: non2xx + errors }
  }
}
