/**
 * One web server in a process of its own: the routes of one contender. The ids are chosen here, in the order of `spreadId`, so that the load costs as little as it can;
 * with `/read/7` and `/move/7` they are chosen by who asks.
 *
 * Told: its port. Then, each time it is asked: what it has used of the processor, and its memory.
 */
import Fastify, { type FastifyRequest } from 'fastify'
import type { EngineName } from '../../plugins/db/types.ts'
import { ACCOUNTS } from '../contenders/data.ts'
import { readJob, tell } from '../measure/child.ts'
import { spreadId } from '../measure/ids.ts'
import type { Routes } from './contender.ts'
import { bridgeContenders, httpContenders } from './contenders.ts'

export interface ServerJob { readonly engine: EngineName, readonly contender: string, readonly target: string, readonly rows: number }

export type Told = { readonly port: number } | Usage

/** Of the process since its start, in µs and bytes. */
export interface Usage { readonly cpuMicros: number, readonly rss: number }

const { engine, contender, target, rows } = readJob<ServerJob>()
const app = Fastify()
const opened = [...httpContenders[engine], ...bridgeContenders].find(({ name }) => name === contender)
if (opened === undefined) throw new Error(`there is no ${contender}`)
let asked = 0
addRoutes(await opened.open(app, target))
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  void tell({ cpuMicros: user + system, rss: process.memoryUsage.rss() } satisfies Usage)
})
await tell({ port: Number(port) })

function addRoutes ({ read, readOptions = {}, move, moveOptions = {} }: Routes): void {
  const idOf = (request: FastifyRequest, ids: number): number => Number((request.params as { id?: string }).id ?? spreadId(asked++, ids))
  if (read !== undefined) for (const path of ['/read', '/read/:id']) app.get(path, readOptions, async request => await read(idOf(request, rows), request))
  if (move === undefined) return
  for (const path of ['/move', '/move/:id']) {
    app.post(path, moveOptions, async request => {
      const account = idOf(request, ACCOUNTS)
      await move(account, request)
      return { account }
    })
  }
}
