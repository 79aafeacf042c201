/** The proxy of the tests: what it is told to break it breaks there and nowhere else, and all other bytes arrive, in order. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import pg from 'pg'
import t, { type Test } from 'tap'
import { freshUrl } from '../helper/db.ts'
import { until } from '../helper/long.ts'
import { skip } from '../helper/postgres-server.ts'
import { startProxy, type Proxy, type ProxyOptions } from '../helper/proxy.ts'

const payload = Buffer.from(Array.from({ length: 2000 }, (_, i) => i % 251))

interface Peers { proxy: Proxy, client: Socket, server: Socket, connectAnother: () => Promise<{ client: Socket, server: Socket }> }

/** A client and a server that are sockets of this test, with a proxy between them. */
async function startPeers (t: Test, options: ProxyOptions = {}): Promise<Peers> {
  const listener = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => { listener.close() })
  const proxy = await startProxy(t, `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`, options)
  const connectAnother = async (): Promise<{ client: Socket, server: Socket }> => {
    const client = connect({ port: proxy.port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true }).on('error', () => {})
    const [server] = await once(listener, 'connection') as [Socket]
    server.on('error', () => {})
    for (const socket of [client, server]) {
      t.teardown(() => { socket.destroy() })
    }
    return { client, server }
  }
  return { proxy, connectAnother, ...await connectAnother() }
}

/** All that the socket reads, and how it ended. */
async function readAll (socket: Socket): Promise<{ bytes: Buffer, reads: number[], code: string | undefined }> {
  const chunks: Buffer[] = []
  let code: string | undefined
  socket.on('data', chunk => { chunks.push(chunk) }).on('error', (error: NodeJS.ErrnoException) => { code = error.code }).on('end', () => { socket.end() })
  await new Promise(resolve => { socket.on('close', resolve) })
  return { bytes: Buffer.concat(chunks), reads: chunks.map(chunk => chunk.length), code }
}

t.test('bytes go through both ways, and an end comes behind them', async t => {
  const { proxy, client, server } = await startPeers(t)
  const [atClient, atServer] = [readAll(client), readAll(server)]
  client.end(payload)
  server.write(payload.subarray(0, 100))
  server.end(payload.subarray(100))
  t.strictSame((await atServer).bytes, payload)
  t.strictSame((await atClient).bytes, payload)
  await until('it is closed', () => proxy.open === 0)
  t.equal(proxy.connections, 1)
})

for (const from of ['server', 'client'] as const) {
  for (const how of ['close', 'reset'] as const) {
    t.test(`cut after so many bytes of the ${from} (${how}): exactly these arrive, and another connection is left alone`, async t => {
      for (const bytes of [0, 1, 777, 2000]) {
        const { proxy, connectAnother, ...pair } = await startPeers(t)
        const another = await connectAnother()
        const other = from === 'server' ? 'client' : 'server'
        pair[from].write('before')
        await once(pair[other], 'data')
        const cut = proxy.cutAfter(bytes, from, how)
        const end = readAll(pair[other])
        const atClient = from === 'server' ? end : readAll(pair.client)
        pair[from].write(payload)
        await cut.done
        t.strictSame((await end).bytes, payload.subarray(0, bytes))
        t.equal((await atClient).code, how === 'reset' ? 'ECONNRESET' : undefined)
        another[from].write('x')
        t.strictSame(await once(another[other], 'data'), [Buffer.from('x')])
      }
    })
  }
}

t.test('split: small pieces that are read one by one, and nothing is lost', async t => {
  const read = async (most: number): Promise<number> => {
    const { proxy, client, server } = await startPeers(t)
    proxy.split(most)
    const all = readAll(client)
    server.end(payload)
    const { bytes, reads } = await all
    t.strictSame(bytes, payload)
    return reads.length
  }
  t.ok(await read(1) > 1000)
  t.ok(await read(100) > 20)
  t.ok(await read(Infinity) < 5)
})

t.test('a share of the connections is cut: the same ones for the same seed', async t => {
  const survivors = async (seed: number): Promise<boolean[]> => {
    const { proxy, connectAnother, client } = await startPeers(t, { seed })
    const clients = [client]
    while (clients.length < 20) clients.push((await connectAnother()).client)
    proxy.cut('reset', 0.5)
    for (const socket of clients) socket.resume()
    await until('they are told', () => proxy.open < 20 && clients.filter(socket => socket.destroyed).length === 20 - proxy.open)
    return clients.map(socket => !socket.destroyed)
  }
  const some = await survivors(1)
  t.ok(some.includes(true) && some.includes(false))
  t.strictSame(await survivors(1), some)
  t.notSame(await survivors(2), some)
})

t.test('coalesce: what comes little by little arrives as one', async t => {
  const { proxy, client, server } = await startPeers(t)
  proxy.coalesce(100)
  const all = readAll(client)
  for (let at = 0; at < payload.length; at += 100) {
    server.write(payload.subarray(at, at + 100))
    await new Promise(setImmediate)
  }
  server.end()
  const { bytes, reads } = await all
  t.strictSame(bytes, payload)
  t.equal(reads.length, 1)
})

t.test('delay is for one direction, and from the arrival on, so that many chunks take no longer than one', async t => {
  const { proxy, client, server } = await startPeers(t)
  proxy.delay(60)
  const sentAt = performance.now()
  client.write('x')
  await once(server, 'data')
  t.ok(performance.now() - sentAt < 60, 'not from the client')
  const all = readAll(client)
  const startedAt = performance.now()
  for (let at = 0; at < payload.length; at += 100) {
    server.write(payload.subarray(at, at + 100))
    await new Promise(setImmediate)
  }
  server.end()
  client.end()
  const { bytes } = await all
  const ms = performance.now() - startedAt
  t.strictSame(bytes, payload)
  t.ok(ms >= 59 && ms < 600, `${ms} ms`)
})

t.test('throttle: it takes as long as the rate says; and who does not read slows the sender down', async t => {
  const { proxy, client, server } = await startPeers(t)
  proxy.throttle(20_000)
  const all = readAll(client)
  const startedAt = performance.now()
  server.end(payload)
  client.end()
  t.strictSame((await all).bytes, payload)
  const ms = performance.now() - startedAt
  t.ok(ms >= 80, `${ms} ms for 2,000 bytes`)

})

t.test('who does not read slows the sender down', async t => {
  const { client, server } = await startPeers(t)
  client.pause()
  const bytes = 32 * 1024 * 1024
  server.write(Buffer.alloc(bytes))
  await t.rejects(until('all is taken', () => server.writableLength === 0, 500))
  let read = 0
  client.on('data', chunk => { read += chunk.length }).resume()
  await until('all has arrived', () => read === bytes)
})

t.test('silence: nothing arrives and nobody is told; afterwards the silent ones are reset and new ones go through', async t => {
  const { proxy, client, server, connectAnother } = await startPeers(t)
  const ended = readAll(client)
  proxy.silence()
  server.end(payload)
  const another = await connectAnother()
  another.server.write('x')
  t.strictSame(await once(another.client, 'data'), [Buffer.from('x')], 'one that was made later')
  proxy.goSilent()
  const newOne = await connectAnother()
  const newEnded = readAll(newOne.client)
  newOne.server.write(payload)
  client.write('x')
  await until('it is heard', () => proxy.sent.length === 1)
  t.notOk(client.destroyed)
  proxy.restore()
  for (const all of [ended, newEnded]) t.match(await all, { bytes: { length: 0 }, code: 'ECONNRESET' })
  const last = await connectAnother()
  last.server.write('x')
  t.strictSame(await once(last.client, 'data'), [Buffer.from('x')])
})

t.test('calm takes back what has not happened', async t => {
  const { proxy, client, server } = await startPeers(t)
  proxy.cutAt('text')
  proxy.cutAfter(3, 'client')
  proxy.cutHalfway()
  proxy.throttle(1)
  proxy.calm()
  client.end('text')
  t.equal((await buffer(server)).toString(), 'text')
})

// --- with PostgreSQL ------------------------------------------------------------------------------------------------------------------

async function connectPg (t: Test, connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  t.teardown(async () => { await client.end() })
  return client
}

t.test('pg reads the same rows when they come in single bytes, or all at once', { skip }, async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const client = await connectPg(t, proxy.url)
  const read = async (): Promise<unknown> => (await client.query("SELECT i, 'ä€😀' AS text, NULL AS nothing FROM generate_series(1, 50) AS i")).rows
  const rows = await read()
  proxy.split(1)
  t.strictSame(await read(), rows)
  proxy.split(Infinity)
  proxy.coalesce(20)
  t.strictSame(await read(), rows)
  t.equal(proxy.roundTrips, 6, '3 for the start (SCRAM), 3 for the queries')
})

t.test('a statement whose answer is cut at any byte has run, and pg is told that the connection is lost', { skip, timeout: 180_000 }, async t => {
  const proxy = await startProxy(t, await freshUrl(t, 'postgres'))
  const admin = await connectPg(t, proxy.url)
  await admin.query('CREATE TABLE a (id BIGINT)')
  const answer = 'INSERT 0 1'.length + 6 + 6 // CommandComplete and ReadyForQuery
  const cases = [0, 1, 4, 5, 16, answer - 1]
  for (const bytes of cases) {
    const client = await connectPg(t, proxy.url)
    const cut = proxy.cutAfter(bytes, 'server')
    const failed = client.query('INSERT INTO a (id) VALUES (1)').then(() => undefined, (error: unknown) => error)
    await cut.done
    t.ok(await failed instanceof Error, `${bytes} bytes`)
  }
  t.strictSame((await admin.query('SELECT count(*)::int AS n FROM a')).rows, [{ n: cases.length }])
})
