/** An example that serves: started as its header says, on a free port instead of its own. */
import { once } from 'node:events'
import type { Test } from 'tap'
import { makeProject } from '../helper/project.ts'
import { preload } from '../rules/fences.ts'
import { start, waitFor, type Ended } from '../rules/run.ts'

export interface Server {
  /** The answer to one request, parsed. Throws for a status of 400 and above. */
  readonly ask: <T>(method: string, path: string, body?: object) => Promise<T>
  /** The status of one request. */
  readonly status: (method: string, path: string, body?: object) => Promise<number>
  /** By SIGTERM. */
  readonly stop: () => Promise<Ended>
}

/** What the examples import, beside the package. */
export const packages = ['fastify', 'fastify-plugin', 'fastify-cli', 'typebox', '@opentelemetry/api', '@opentelemetry/sdk-trace-base']

/** server.ts of an example, in a project of its own. */
export async function startExample (t: Test, name: string, env: Record<string, string>): Promise<Server> {
  return await startServer(t, makeProject(t, `examples/${name}`, packages), ['server.ts'], env)
}

/** Runs `parameters` by Node in `cwd`; ended with the test at the latest. Without `env` the environment holds PATH alone. */
export async function startServer (t: Test, cwd: string, parameters: readonly string[], env: Record<string, string> = {}): Promise<Server> {
  const child = start(process.execPath, ['--import', preload, ...parameters], { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const ended = waitFor(child)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const listening = once(child, 'message').then(([address]) => (address as { port: number }).port)
  const port = await Promise.race([listening, ended.then(({ output }) => { throw new Error(`it ended before it listened:\n${output}`) })])
  const send = async (method: string, path: string, body?: object): Promise<Response> => await fetch(`http://127.0.0.1:${port}${path}`, {
    method, ...body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  })
  return {
    ask: async <T>(method: string, path: string, body?: object) => {
      const reply = await send(method, path, body)
      if (!reply.ok) throw new Error(`${method} ${path} answered ${reply.status}: ${await reply.text()}`)
      return await reply.json() as T
    },
    status: async (method, path, body) => {
      const reply = await send(method, path, body)
      await reply.arrayBuffer()
      return reply.status
    },
    stop: async () => {
      child.kill('SIGTERM')
      return await ended
    }
  }
}
