/** The queue in front of the connections. */
import t from 'tap'
import { Gate } from '../../plugins/db/gate.ts'
import type { Limits } from '../../plugins/db/types.ts'

const free: Limits = { deadline: Infinity, signal: undefined, held: [] }

void t.test('who asks first is served first', async t => {
  const gate = new Gate(1, 10_000)
  const first = await gate.acquire(free, 'first')
  const order: number[] = []
  const waiting = [1, 2, 3].map(async n => {
    const lease = await gate.acquire(free, `number ${n}`)
    order.push(n)
    gate.release(lease)
  })
  gate.release(first)
  await Promise.all(waiting)
  t.strictSame(order, [1, 2, 3])
})

void t.test('123: a lease that is given back twice counts once', async t => {
  const gate = new Gate(1, 10_000)
  const lease = await gate.acquire(free, 'a')
  gate.release(lease)
  gate.release(lease)
  const second = await gate.acquire(free, 'b')
  const third = gate.acquire({ ...free, deadline: performance.now() + 5 }, 'c')
  await t.rejects(third, { code: 'TDM_ERR_DB_TIMEOUT' })
  gate.release(second)
})

void t.test('169: a waiter that is refused leaves the queue', async t => {
  const gate = new Gate(1, 10_000)
  const lease = await gate.acquire(free, 'holder')
  const abort = new AbortController()
  const aborted = t.rejects(gate.acquire({ ...free, signal: abort.signal }, 'aborted'), { code: 'TDM_ERR_DB_ABORTED' })
  const next = gate.acquire(free, 'next')
  abort.abort()
  await aborted
  gate.release(lease)
  gate.release(await next)
})

void t.test('183: the time-out names who holds what, for how long', async t => {
  const gate = new Gate(1, 20)
  await gate.acquire(free, 'UPDATE job\n SET a = 1')
  await t.rejects(gate.acquire(free, 'x'), { code: 'TDM_ERR_POOL_TIMEOUT', statusCode: 503, message: /within 20 ms\. In use: "UPDATE job SET a = 1" for \d+ ms/ })
})

void t.test('166, 167: only a wait that can never end is a deadlock', async t => {
  const gate = new Gate(2, 10_000)
  const a = await gate.acquire(free, 'a')
  const b = await gate.acquire(free, 'b')
  const second = gate.acquire({ ...free, held: [a] }, 'a wants another')
  await t.rejects(gate.acquire({ ...free, held: [b] }, 'b as well'), { code: 'TDM_ERR_POOL_DEADLOCK', statusCode: 500, message: /"a" for .*"b" for/ })
  gate.release(b)
  gate.release(await second)
  gate.release(a)
  const c = await gate.acquire(free, 'c')
  const d = await gate.acquire({ ...free, held: [c] }, 'a free place is no wait')
  gate.release(c)
  gate.release(d)
})

void t.test('close refuses newcomers and waiters, and waits for the holders', async t => {
  const gate = new Gate(1, 10_000)
  const lease = await gate.acquire(free, 'holder')
  const waiting = t.rejects(gate.acquire(free, 'waiter'), { code: 'TDM_ERR_DB_CLOSED' })
  let isClosed = false
  const closing = gate.close(10_000).then(() => { isClosed = true })
  await waiting
  await t.rejects(gate.acquire(free, 'newcomer'), { code: 'TDM_ERR_DB_CLOSED' })
  t.equal(isClosed, false)
  gate.release(lease)
  await closing
})

void t.test('a place that is withdrawn is the next that is given back, and is there again once it is restored', async t => {
  const gate = new Gate(2, 10_000)
  const [a, b] = [await gate.acquire(free, 'a'), await gate.acquire(free, 'b')]
  const order: string[] = []
  const waiting = ['c', 'd'].map(async name => {
    const lease = await gate.acquire(free, name)
    order.push(name)
    return lease
  })
  gate.withdraw(() => { order.push('withdrawn') })
  t.equal(gate.tryWithdraw(), false, 'others wait')
  gate.release(a)
  t.strictSame(order, ['withdrawn'])
  t.strictSame(gate.load, { used: 1, waiting: 2 })
  gate.restore()
  gate.release(b)
  const leases = await Promise.all(waiting)
  t.strictSame(order, ['withdrawn', 'c', 'd'])
  for (const lease of leases) gate.release(lease)
  t.equal(gate.tryWithdraw(), true)
})

void t.test('who meets no place asks for what was withdrawn, and does not wait if it is restored at once', async t => {
  const gate = new Gate(2, 10_000)
  t.equal(gate.tryWithdraw(), true)
  let asked = 0
  gate.onWanted = () => { if (++asked === 1) gate.restore() }
  const held = [await gate.acquire(free, 'a')]
  t.equal(asked, 0, 'there is one')
  held.push(await gate.acquire(free, 'b'))
  t.strictSame([asked, gate.load], [1, { used: 2, waiting: 0 }])
  await t.rejects(gate.acquire({ ...free, held }, 'c'), { code: 'TDM_ERR_POOL_DEADLOCK' })
  t.equal(asked, 2)
})
