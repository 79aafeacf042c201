/** What is remembered of statements, and what follows from it for where they run. */
import t from 'tap'
import { Placement, type Cost } from '../../plugins/db/placement.ts'

const short = (): boolean => true
const long = (): boolean => false

/** So many runs apart until it is taken for short again; at most 2000. The first one may take another time. */
function runsUntilShort (placement: Placement, cost: Cost, ms: number, firstMs = ms): number {
  let runs = 1
  placement.ranApart(cost, firstMs)
  while (!cost.isShort && runs < 2000) {
    placement.ranApart(cost, ms)
    runs++
  }
  return runs
}

void t.test('a new statement is placed by its plan, which is looked at once', async t => {
  const placement = new Placement(2)
  let looks = 0
  const look = (): boolean => { looks++; return looks === 1 }
  t.match(placement.costOf('a', look), { isShort: true, why: 'new: a short plan', runs: 0, overruns: 0 })
  t.equal(placement.costOf('a', look), placement.find('a'))
  t.match(placement.costOf('b', look), { isShort: false, why: 'new: the plan reads a large table' })
  t.equal(looks, 2)
})

void t.test('without a budget nothing is short, and no plan is looked at', async t => {
  const placement = new Placement(0)
  const cost = placement.costOf('a', () => { throw new Error('it was looked at') })
  t.equal(cost.isShort, false)
  t.equal(runsUntilShort(placement, cost, 0), 2000, 'ever')
})

void t.test('a statement whose plan was wrong about it comes back after its first short run', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', long)
  t.equal(runsUntilShort(placement, cost, 0.1), 1)
  t.equal(cost.why, 'was short often enough')
})

void t.test('each time that a statement took too long, in a thread as well, it stays away twice as long, up to a limit', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', short)
  const runs = Array.from({ length: 12 }, () => {
    placement.overran(cost)
    t.match(cost, { isShort: false, why: 'took longer than the budget' })
    return runsUntilShort(placement, cost, 0.1, 20) - 1
  })
  const [first = 0] = runs
  t.ok(first > 1)
  t.strictSame(runs, runs.map((_, i) => Math.min(1000, first * 2 ** i)))
  t.equal(runs.at(-1), 1000)
  t.equal(cost.overruns, 12)
})

void t.test('a statement that was interrupted on a busy machine, and is short in a thread, comes back at once', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', short)
  for (let i = 0; i < 5; i++) {
    placement.overran(cost)
    t.equal(runsUntilShort(placement, cost, 0.1), 1)
  }
})

void t.test('a statement that is long now and then does not come back in between', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', long)
  for (let i = 0; i < 500; i++) placement.ranApart(cost, i % 3 === 0 ? 10 : 0.1)
  t.equal(cost.isShort, false)
})

void t.test('a statement that is just below the budget stays away: it would be interrupted as often as not', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', long)
  t.equal(runsUntilShort(placement, cost, 1.9), 2000)
  t.equal(cost.meanMs, 1.9)
})

void t.test('the mean follows a table that grows', async t => {
  const placement = new Placement(2)
  const cost = placement.costOf('a', long)
  placement.ranApart(cost, 100)
  t.equal(cost.meanMs, 100)
  for (let i = 0; i < 40; i++) placement.ranApart(cost, 200)
  t.ok(cost.meanMs > 199 && cost.meanMs <= 200)
})

void t.test('a thousand statements are listed at most, the slowest first, and one that is forgotten is new again', async t => {
  const placement = new Placement(2)
  const first = placement.costOf('first', long)
  for (let i = 0; i < 5000; i++) placement.ranApart(placement.costOf(`statement ${i}`, long), i % 777)
  const list = placement.list()
  t.equal(list.length, 1000)
  t.equal(new Set(list.map(({ sql }) => sql)).size, 1000, 'each once')
  t.strictSame(list.map(({ meanMs }) => meanMs), list.map(({ meanMs }) => meanMs).toSorted((a, b) => b - a))
  t.equal(placement.find('first'), undefined)
  t.not(placement.costOf('first', long), first)
})

void t.test('a statement that is used all the time is never forgotten', async t => {
  const placement = new Placement(2)
  const used = placement.costOf('used', long)
  for (let i = 0; i < 5000; i++) {
    placement.costOf(`statement ${i}`, long)
    if (placement.costOf('used', long) !== used) return t.fail(`forgotten after ${i} others`)
  }
  t.pass()
})
