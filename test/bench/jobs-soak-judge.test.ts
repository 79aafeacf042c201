/** The judge of `npm run jobs:soak`: it finds each kind of fault, and nothing in a run without one. */
import t from 'tap'
import type { Answer } from '../../bench/jobs-soak/client.ts'
import { judgeAnswer, judgeEffort, judgeHeld, judgeMemory, judgeProbes, slopeOf, type MemorySample } from '../../bench/jobs-soak/judge.ts'
import { judgeRoutes, kinds, type Kind } from '../../bench/jobs-soak/requests.ts'

const bounds = { freedMs: 50, slopeBytes: 5e6 }
const kind: Kind = { name: 'a job', method: 'GET', route: '/a', weight: 1, plan: () => ({ path: '/a' }), statuses: [404] }
const good: Answer = { kind, fate: {}, ms: 1, status: 200, code: undefined, hasRetryAfter: false, isComplete: true, hasLeft: false, bytes: 2, problem: undefined }

/** An answer, and what the judge has to say. */
const cases: Array<[name: string, answer: Partial<Answer>, found: RegExp | undefined]> = [
  ['200', {}, undefined],
  ['404, where that may be', { status: 404, code: 'TDM_ERR_JOBS_NOT_FOUND' }, undefined],
  ['404, where that may not be', { status: 404, kind: { ...kind, statuses: [] } }, /status 404/],
  ['400', { status: 400, code: 'FST_ERR_VALIDATION' }, /status 400 FST_ERR_VALIDATION/],
  ['500', { status: 500, code: 'TDM_ERR_DB_SYNTAX' }, /status 500/],
  ['503 for a deadline', { status: 503, code: 'TDM_ERR_DB_TIMEOUT', hasRetryAfter: true }, undefined],
  ['503 that does not say when', { status: 503, code: 'TDM_ERR_DB_TIMEOUT' }, /without Retry-After/],
  ['503 for a fault', { status: 503, code: 'TDM_ERR_DB_CONNECTION', hasRetryAfter: true }, /TDM_ERR_DB_CONNECTION/],
  ['503 without a code', { status: 503, hasRetryAfter: true }, /none of those/],
  ['cut off', { isComplete: false }, /cut off/],
  ['no answer', { isComplete: false, status: undefined }, /cut off/],
  ['a client that has left', { isComplete: false, hasLeft: true, status: undefined }, undefined],
  ['a stream that its deadline has cut off', { isComplete: false, fate: { deadlineMs: 5 } }, undefined],
  ['malformed', { problem: 'no JSON' }, /no JSON/]
]

t.test('each answer', async t => {
  for (const [name, answer, found] of cases) {
    const wrong = judgeAnswer({ ...good, ...answer })
    if (found === undefined) t.equal(wrong, undefined, name)
    else t.match(wrong, found, name)
  }
})

t.test('places that are not free in time', async t => {
  const probe = { kind: 'a', isMeasured: true, freedMs: 3, load: '{}' }
  t.strictSame(judgeProbes([probe, { ...probe, isMeasured: false, freedMs: 0 }], bounds), [])
  t.match(judgeProbes([probe, { ...probe, freedMs: 51 }], bounds), { length: 1, 0: /free after 51 ms/ })
  t.match(judgeProbes([probe, { ...probe, freedMs: undefined, load: '{"threads":1}' }], bounds), { length: 1, 0: /stayed taken: {"threads":1}/ })
  t.match(judgeProbes([{ ...probe, isMeasured: false }], bounds), [/while that could be measured/])
  const held = (...list: number[]): Array<{ route: string, ms: number }> => list.map(ms => ({ route: 'GET /a', ms }))
  t.strictSame(judgeHeld(held(1, 50), bounds), [])
  t.match(judgeHeld(held(1, 60, 70), bounds), [/2 of 3 requests .*: GET \/a 70 ms, GET \/a 60 ms/])
})

t.test('memory that grows in the second half', async t => {
  const memory = (bytesAt: (minutes: number) => number): MemorySample[] => Array.from({ length: 601 }, (_, i) => ({ ms: 1000 + i * 500, bytes: bytesAt(i / 120) }))
  const settling = memory(minutes => 1e8 + Math.min(minutes, 2) * 5e7)
  t.strictSame(judgeMemory(settling, bounds), [], 'growth in the first half is warming up')
  const sawtooth = memory(minutes => 1e8 + (minutes * 10 % 1) * 3e7)
  t.strictSame(judgeMemory(sawtooth, bounds), [])
  const leaking = memory(minutes => 1e8 + (minutes * 10 % 1) * 3e7 + minutes * 8e6)
  t.match(judgeMemory(leaking, bounds), [/grows by \d\.\d MB a minute/])
  t.equal(Math.round(slopeOf(memory(minutes => minutes * 7e6)) / 1e5), 70)
  t.equal(slopeOf([]), 0)
})

t.test('a run in which nothing succeeds, or nobody leaves, is none', async t => {
  t.strictSame(judgeEffort({ requests: 100, complete: 80, left: 10 }), [])
  t.match(judgeEffort({ requests: 100, complete: 20, left: 0 }), [/only 20 of 100/, /no client has left/])
})

t.test('a route that gets no request, and a request that no route is there for', async t => {
  const routes = kinds.map(({ method, route }) => ({ method, url: route }))
  t.strictSame(judgeRoutes(routes), [])
  t.match(judgeRoutes([...routes, { method: 'POST', url: '/api/jobs/new' }]), [/POST \/api\/jobs\/new gets no request/])
  t.match(judgeRoutes(routes.filter(({ url }) => url !== '/api/jobs/count')), [/no route GET \/api\/jobs\/count/])
})
