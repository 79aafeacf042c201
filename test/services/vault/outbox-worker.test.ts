/** The worker: woken by COMMIT, at rest when it ends; and what a `kill -9` between sending and recording leaves. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { LEASE_MS } from '../../../services/activity/claims.ts'
import { OutboxWorker } from '../../../services/activity/worker.ts'
import { deferred, engines, openUrl } from '../../helper/db.ts'
import { start } from '../../rules/run.ts'
import { startOutbox, type OutboxWorld, type Received } from './outbox-world.ts'

const program = fileURLToPath(new URL('outbox-process.ts', import.meta.url))

/** The next request that comes, not answered. */
async function nextRequest ({ receiver }: OutboxWorld): Promise<{ request: Received, reply: ServerResponse }> {
  const { promise, resolve } = deferred<{ request: Received, reply: ServerResponse }>()
  receiver.answer = (request, reply) => { resolve({ request, reply }) }
  return await promise
}

function startProcess (world: OutboxWorld): ReturnType<typeof start> {
  return start(process.execPath, [program], { env: { PATH: process.env.PATH, DATABASE_URL: world.url, CLOCK: String(world.clock.now) }, stdio: ['ignore', 'pipe', 'pipe'] })
}

for (const engine of engines) {
  void t.test(`the worker on ${engine}`, async t => {
    const world = await startOutbox(t, engine)
    const { db, clock, receiver } = world

    for (const answered of [false, true]) {
      await t.test(`killed ${answered ? 'with the answer on its way' : 'before the answer'}: delivered once or twice, never not at all, with one id`, async t => {
        await world.webhook('generic')
        await world.happen()
        const first = nextRequest(world)
        const child = startProcess(world)
        const ended = once(child, 'exit')
        const { request, reply } = await first
        if (answered) reply.end('{}')
        child.kill('SIGKILL')
        t.strictSame((await ended)[1], 'SIGKILL')
        reply.destroy()
        const [row] = await world.outbox()
        t.equal(request.headers['webhook-id'], row?.id)
        receiver.answerWith(200)
        if (row?.status === 'sending') {
          t.match(await world.run(), { claimed: 0 }, 'the dead have their lease yet')
          clock.now += LEASE_MS
          t.match(await world.run(), { claimed: 1, delivered: 1 })
        }
        t.match(await world.outbox(), [{ status: 'delivered', attempts: 1 }])
        const ids = receiver.take().map(({ headers }) => headers['webhook-id'])
        t.ok(ids.length === 1 || ids.length === 2, `${ids.length} times`)
        t.strictSame(new Set(ids), new Set([row?.id]))
      })
    }

    await t.test('it is woken by the commit, and goes on until there is nothing left', async t => {
      await world.webhook('generic')
      await world.webhook('discord', { alone: false })
      const worker = new OutboxWorker(engine === 'sqlite' ? db : await openUrl(t, world.url), world.context) // which hears of its own process only, or of all
      await worker.start()
      receiver.answerWith(200)
      const all = deferred()
      receiver.onRequest = ({ path }) => { if (path === '/hook' && receiver.received.filter(request => request.path === path).length === 25) all.resolve() }
      await db.tx(async () => { for (let i = 0; i < 25; i++) await world.happen({ data: { i } }) })
      await all.promise
      await worker.stop()
      receiver.onRequest = () => {}
      t.strictSame(new Set((await world.outbox()).map(row => row.status)), new Set(['delivered']))
      const inOrder = receiver.take().filter(({ path }) => path === '/hook').map(({ body }) => (JSON.parse(body) as { data: { details: { i: number } } }).data.details.i)
      t.strictSame(inOrder, Array.from({ length: 25 }, (_, i) => i))
    })

    await t.test('a slow receiver holds up itself only', async t => {
      await world.webhook('generic')
      await world.webhook('generic', { path: '/fast', alone: false })
      const slow = deferred<ServerResponse>()
      const done = deferred()
      let fast = 0
      receiver.answer = (request, reply) => {
        if (request.path === '/hook') slow.resolve(reply)
        else reply.end('{}', () => { if (++fast === 3) done.resolve() })
      }
      for (let i = 0; i < 3; i++) await world.happen()
      const worker = new OutboxWorker(db, world.context)
      await worker.start()
      const reply = await slow.promise
      await done.promise
      t.equal(receiver.take().filter(({ path }) => path === '/hook').length, 1, 'one request of a webhook at a time')
      receiver.answerWith(200)
      worker.pause()
      reply.end('{}')
      await worker.stop()
      t.equal((await world.outbox()).filter(row => row.status === 'delivered').length, 4)
    })

    await t.test('what is in flight when the time is over is due again, at once', async t => {
      await world.webhook('generic')
      await world.happen()
      const first = nextRequest(world)
      const worker = new OutboxWorker(db, world.context)
      await worker.start()
      await first
      await worker.stop({ graceMs: 0 })
      await worker.stop()
      worker.wake()
      t.match(await world.outbox(), [{ status: 'pending', lease_owner: null, lease_until: null, attempts: 0 }])
      t.strictSame(await db.prepare('SELECT n FROM outbox_attempts WHERE outbox_id IN (SELECT id FROM outbox)').all(), [])
      receiver.answerWith(200)
      t.match(await world.run(), { delivered: 1 })
    })

    await t.test('a database that fails does not end it', async t => {
      const said = deferred<string>()
      const say = (_: object, message: string): void => { said.resolve(message) }
      const away = await openUrl(t, world.url)
      const worker = new OutboxWorker(away, { ...world.context, log: { info: say, warn: say, error: say } })
      await worker.start()
      await away.close()
      worker.wake()
      t.equal(await said.promise, 'the outbox could not be worked on; it is looked at again in 2 s')
      await worker.stop()
    })
  })
}
