/**
 * A server that tells what its requests and statements leave behind, in a process of its own, since tap's hooks keep things. Argument: the URL of an empty database. Prints the bytes of each.
 *
 * How it is seen: the old generation is measured again and again while thousands of requests come, so that there are scavenges as in a server. What it grows by is what they have left there.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { getHeapSpaceStatistics } from 'node:v8'
import Fastify from 'fastify'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import tx from '../../plugins/tx/index.ts'

const TIMES = 3
const ROUNDS = 250
const AT_ONCE = 12

/** Bytes that one run of `work` leaves in the old generation; the least of some times, since there is also what comes once. */
async function leftBy (work: (lane: number) => Promise<unknown>): Promise<number> {
  const left: number[] = []
  for (let i = 0; i < TIMES; i++) left.push(await measure(work))
  return Math.min(...left)
}

async function measure (work: (lane: number) => Promise<unknown>): Promise<number> {
  let [left, last] = [0, oldBytes()]
  for (let i = 0; i < ROUNDS; i++) {
    await Promise.all(Array.from({ length: AT_ONCE }, async (_, lane) => await work(lane)))
    const now = oldBytes()
    left += Math.max(0, now - last) // less after a full collection
    last = now
  }
  return left / (ROUNDS * AT_ONCE)
}

function oldBytes (): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? NaN
}

/** Over connections that are kept, one for each that is sent at once. */
class Client {
  readonly #sockets: readonly Socket[]

  constructor (port: number) {
    this.#sockets = Array.from({ length: AT_ONCE }, () => connect(port, '127.0.0.1'))
  }

  async send (request: string, lane: number): Promise<void> {
    const socket = this.#sockets[lane] as Socket
    socket.write(`${request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`)
    const [chunk] = await once(socket, 'data') as [Buffer]
    if (!chunk.toString('latin1').startsWith('HTTP/1.1 200 ')) throw new Error(`${request}: ${chunk.toString('latin1')}`)
  }

  close (): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

const app = Fastify()
await app.register(config, { env: { DATABASE_URL: process.argv[2] } })
await app.register(db)
await app.register(tx)
await app.db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO a (id, n) VALUES (1, 0)')
const read = app.db.prepare('SELECT n FROM a WHERE id = ?')
const write = app.db.prepare('UPDATE a SET n = n + 1 WHERE id = ?')
app.get('/read', async () => await read.get(1))
app.get('/reads', async () => [await read.get(1), await read.get(1)])
app.post('/write', async () => [await read.get(1), await write.run(1)])
const client = new Client(Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
const left: Record<string, number> = {}
for (const request of ['GET /read', 'GET /reads', 'POST /write']) left[request] = await leftBy(async lane => { await client.send(request, lane) })
left['a read on its own'] = await leftBy(async () => await read.get(1))
left['a write on its own'] = await leftBy(async () => await write.run(1))
left['db.tx'] = await leftBy(async () => await app.db.tx(async () => await write.run(1)))
client.close()
await app.close()
process.stdout.write(JSON.stringify(left))
