/**
 * Processes of the benchmark's own. Each is one file, gets its job as an argument, says what it has to say by messages, and ends when this
 * process does.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Ended { readonly code: number | null, readonly signal: NodeJS.Signals | null }

/** `Told`: the messages that it sends. */
export class Child<Told> {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>

  /** `flags`: for Node. Its standard output goes to standard error, unless `stdout` is 'pipe'. */
  constructor (file: URL, job: object, { flags = [], stdout = 2 }: { flags?: string[], stdout?: 'pipe' | number } = {}) {
    const path = fileURLToPath(file)
    this.process = fork(path, [JSON.stringify(job)], { execArgv: [...process.execArgv, ...flags], stdio: ['ignore', stdout, 'inherit', 'ipc'] })
    this.ended = once(this.process, 'exit').then(([code, signal]): Ended => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }))
  }

  onTold (listener: (told: Told) => void): void {
    this.process.on('message', listener)
  }

  /** The next message. Rejects when the process ends before. */
  async next (): Promise<Told> {
    const ending = new AbortController()
    const ended = this.ended.then(({ code, signal }) => { throw new Error(`the process ended with ${code ?? signal}`) })
    try {
      const [told] = await Promise.race([once(this.process, 'message', { signal: ending.signal }), ended]) as [Told]
      return told
    } finally {
      ending.abort()
    }
  }

  tell (message: object | string): void {
    this.process.send(message)
  }
}

/** In the process: what it is to do. It ends when nobody is left to be told. */
export function readJob<Job> (): Job {
  process.once('disconnect', () => { process.exit(1) })
  return JSON.parse(process.argv[2] ?? '{}') as Job
}

/** In the process: nothing more is to be told. */
export function leave (): void {
  process.removeAllListeners('disconnect')
  process.disconnect()
}

/** In the process: says something, and waits until it was said. */
export async function tell (message: object | string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.send?.(message, undefined, undefined, error => { if (error === null) resolve(); else reject(error) })
  })
}
