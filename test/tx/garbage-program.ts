/**
 * What has ended leaves nothing behind: no request, transaction or statement lives until the next full collection. A Set that lives long does that to its members, an AsyncResource to what it
 * holds, an object literal with an accessor to what that refers to. Then each scavenge takes ten times as long, and the slowest requests wait for it.
 *
 * How it is seen: the old generation is measured again and again while thousands of requests come, so that there are scavenges as in a server. What it grows by is what they have left there.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { getHeapSpaceStatistics } from 'node:v8'
import t from 'tap'
import tx from '../../plugins/tx/index.ts'
import { startPlugins } from '../helper/app.ts'
import { engines } from '../helper/db.ts'

const TIMES = 3
const ROUNDS = 250
const AT_ONCE = 12
/** Of some 20,000 that a request takes in all. */
const MOST_BYTES = 600

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

for (const engine of engines) {
  void t.test(`${engine}: what has ended leaves nothing behind`, async t => {
    const app = await startPlugins(t, engine)
    await app.register(tx)
    await app.db.exec('CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO a (id, n) VALUES (1, 0)')
    const read = app.db.prepare('SELECT n FROM a WHERE id = ?')
    const write = app.db.prepare('UPDATE a SET n = n + 1 WHERE id = ?')
    app.get('/read', async () => await read.get(1))
    app.get('/reads', async () => [await read.get(1), await read.get(1)])
    app.post('/write', async () => [await read.get(1), await write.run(1)])
    const client = new Client(Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
    t.teardown(() => { client.close() })
    const isLittle = async (what: string, work: (lane: number) => Promise<unknown>): Promise<void> => {
      const bytes = await leftBy(work)
      t.ok(bytes < MOST_BYTES, `${what}: ${Math.round(bytes)} bytes`)
    }
    for (const request of ['GET /read', 'GET /reads', 'POST /write']) await isLittle(request, async lane => { await client.send(request, lane) })
    await isLittle('a read on its own', async () => await read.get(1))
    await isLittle('a write on its own', async () => await write.run(1))
    await isLittle('db.tx', async () => await app.db.tx(async () => await write.run(1)))
  })
}
