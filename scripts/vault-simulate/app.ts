/**
 * The process of the app under simulation. Argument: its environment as JSON. Tells its port, then, each time it is asked, what its event loop and its CPU did since the last time.
 * Ends with its parent.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import Fastify from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import application, { options } from '../../app.ts'

export interface Load {
  /** Milliseconds that a turn of the event loop came late. */
  readonly loopP50: number
  readonly loopP99: number
  readonly loopMax: number
  readonly cpuMs: number
  readonly rssBytes: number
  /** Lines of the log at level error. */
  readonly errors: readonly string[]
}

export type Told = { readonly port: number } | { readonly load: Load }
export type Asked = 'load' | 'close'

const RESOLUTION_MS = 1

const errors: string[] = []
const stream = { write: (line: string) => { errors.push(line.slice(0, 2000)) } }
const app = Fastify({ ...options, logger: { ...options.logger, level: 'error', stream } })
await app.register(fastifyPlugin(application), { env: JSON.parse(process.argv[2] ?? '{}') as Record<string, string> })
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
let cpu = process.cpuUsage()
delay.enable()
process.on('message', (asked: Asked) => {
  if (asked === 'load') tell({ load: readLoad() })
  else void app.close().then(() => { process.exit(0) })
})
process.once('disconnect', () => { process.exit(1) })
tell({ port: Number(port) })

function tell (told: Told): void {
  process.send?.(told)
}

function readLoad (): Load {
  // what the histogram has is the time between two turns of a timer
  const late = (ns: number): number => Math.max(0, ns / 1e6 - RESOLUTION_MS)
  const { user, system } = process.cpuUsage(cpu)
  const load = { loopP50: late(delay.percentile(50)), loopP99: late(delay.percentile(99)), loopMax: late(delay.max), cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage.rss(), errors: errors.splice(0) }
  cpu = process.cpuUsage()
  delay.reset()
  return load
}
