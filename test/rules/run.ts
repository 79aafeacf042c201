/**
 * Runs programs as a user would: without what tap puts into the environment of every child (`NODE_OPTIONS` with its own loader, under which for example
 * TypeScript's `tsc` does not start: ERR_REQUIRE_CYCLE_MODULE). tap adds it at each spawn, whatever `env` says; so `env` of the system takes it away again.
 *
 * That is also the cheaper way: it takes a third of the time. Coverage is not counted then, so of each script something has to run in the other way.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { root } from '../helper/paths.ts'

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: string | null
  /** stdout and stderr. */
  readonly output: string
  readonly stdout: string
}

const isWindows = process.platform === 'win32'
/** Of setup/preload.js, if this process has it. */
const preload = /--import=file:\S+\/test\/setup\/preload\.js/.exec(process.env.NODE_OPTIONS ?? '')?.[0]
/** V8's code of what was compiled before. Not for what is counted: it would lose blocks. */
const compiled = fileURLToPath(new URL('.tap/compiled', root))

export type Started = ChildProcess & { stdout: Readable, stderr: Readable }

/** Starts a program; its stdout and stderr are pipes. */
export function start (program: string, parameters: readonly string[], spawning: SpawnOptions): Started {
  const settings = { ...spawning, shell: isWindows && program === 'npm' }
  const options = program === process.execPath && preload !== undefined ? [`NODE_OPTIONS=${preload}`] : []
  const child = isWindows ? spawn(program, parameters, settings) : spawn('env', ['-u', 'NODE_OPTIONS', `NODE_COMPILE_CACHE=${compiled}`, ...options, program, ...parameters], settings)
  return withPipes(child)
}

/** The same with coverage, by tap. */
export function startCounted (program: string, parameters: readonly string[], spawning: SpawnOptions): Started {
  return withPipes(spawn(program, parameters, spawning))
}

function withPipes (child: ChildProcess): Started {
  if (child.stdout === null || child.stderr === null) throw new Error('stdout and stderr have to be pipes')
  return child as Started
}

/** Waits until a program that was started has ended. */
export async function waitFor (child: Started): Promise<Ended> {
  const closed = once(child, 'close') as Promise<[number | null, string | null]>
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { code, signal, stdout, output: stdout + stderr }
}

/** What a program prints to stdout. Throws what it said if it does not end with 0. */
export async function run (cwd: string, program: string, ...parameters: string[]): Promise<string> {
  const { code, signal, output, stdout } = await waitFor(start(program, parameters, { cwd }))
  if (code !== 0) throw new Error(`${program} ${parameters.join(' ')} ended with ${code ?? signal}:\n${output}`)
  return stdout
}
