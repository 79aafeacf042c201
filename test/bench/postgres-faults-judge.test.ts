/** The judge of `npm run faults:postgres`: it finds each kind of lie, and nothing in a run without one. */
import t from 'tap'
import { judgeAccounts, judgeClient, judgeEffort, readTruth } from '../../bench/postgres-faults/judge.ts'
import { kinds, Ledger, outcomes, type Entry, type Kind, type Outcome } from '../../bench/postgres-faults/ledger.ts'
import { noteOf, schema, START_BALANCE } from '../../bench/postgres-faults/tables.ts'
import { freshUrl } from '../helper/db.ts'
import { ask } from '../helper/pg.ts'
import { skip } from '../helper/postgres-server.ts'

const limits = { statementMs: 100, txMs: 200, graceMs: 50 }
const UNKNOWN = 'TDM_ERR_TX_OUTCOME_UNKNOWN'
const LOST = 'TDM_ERR_DB_CONNECTION'

function entry (kind: Kind, outcome: Outcome, rest: Partial<Entry> = {}): Omit<Entry, 'id'> {
  const code = outcome === 'done' ? '' : outcome === 'unknown' ? UNKNOWN : LOST
  return { kind, outcome, code, rows: kind === 'transaction' ? 3 : kind === 'insert' ? 1 : 0, ms: 10, at: 1000, ...rest }
}

t.test('a ledger gives back what was written into it, also from another process', async t => {
  const ledger = new Ledger(7)
  const written: Entry[] = []
  for (let i = 0; i < 1000; i++) {
    const one = { kind: kinds[i % kinds.length] ?? 'read', outcome: outcomes[i % 3] ?? 'done', code: `CODE_${i % 40}`, rows: i % 4, ms: i, at: i * 1000 }
    written.push({ id: ledger.nextId, ...one })
    ledger.add(one)
  }
  t.strictSame([...ledger.entries()], written)
  const copy = new Ledger(7, structuredClone(ledger.toData()))
  t.strictSame([...copy.entries()], written)
  t.strictSame(copy.find(7_000_000_999), written[999])
  t.equal(copy.find(7_000_001_000), undefined)
  t.equal(copy.nextId, 7_000_001_000)
})

/** A call, how many of its rows (transfers, increments) are there, and what the judge has to say. */
const cases: Array<[name: string, call: Omit<Entry, 'id'>, there: number, found: RegExp | undefined]> = [
  ['done', entry('insert', 'done'), 1, undefined],
  ['failed', entry('transaction', 'failed'), 0, undefined],
  ['unknown and there', entry('transaction', 'unknown'), 3, undefined],
  ['unknown and not there', entry('transaction', 'unknown'), 0, undefined],
  ['a lost write', entry('insert', 'done'), 0, /told as done, and is not there/],
  ['a write that was told as failed', entry('insert', 'failed'), 1, /told as failed, and is there/],
  ['a lost transfer', entry('transfer', 'done'), 0, /told as done, and is not there/],
  ['a transfer that was told as failed', entry('transfer', 'failed'), 1, /told as failed, and is there/],
  ['half a transaction', entry('transaction', 'done'), 2, /has 2 of its 3 rows/],
  ['half a transaction whose outcome is unknown', entry('transaction', 'unknown'), 1, /has 1 of its 3 rows/],
  ['a statement that takes too long', entry('read', 'failed', { ms: 151 }), 0, /took 151 ms, which is more than 150/],
  ['a transaction that takes as long as it may', entry('transaction', 'failed', { ms: 250 }), 0, undefined],
  ['a write that ran twice', entry('insert', 'failed', { code: 'TDM_ERR_DB_UNIQUE' }), 0, /no fault explains/],
  ['an error of the driver', entry('read', 'failed', { code: 'ECONNRESET' }), 0, /no fault explains/],
  ['an increment that ran twice', entry('increment', 'done'), 2, /counter is 2/],
  ['an increment that was lost', entry('increment', 'done'), 0, /counter is 0/],
  ['an increment whose outcome is unknown', entry('increment', 'unknown'), 1, undefined]
]

t.test('each call', { skip }, async t => {
  const url = await freshUrl(t, 'postgres')
  await ask(url, schema)
  for (const [client, [name, call, there, found]] of cases.entries()) {
    const ledger = new Ledger(client)
    const id = ledger.nextId
    ledger.add(call)
    if (call.kind === 'increment') await ask(url, 'UPDATE counter SET n = $1 WHERE client = $2', [there, client])
    else if (call.kind === 'transfer') await ask(url, 'INSERT INTO transfer SELECT $1, 1, 2, 0 FROM generate_series(1, $2)', [id, there])
    else await ask(url, 'INSERT INTO entry SELECT $1, i, $3 FROM generate_series(1, $2) AS i', [id, there, noteOf(id)])
    const wrong = judgeClient(ledger, await readTruth(url, client), limits)
    if (found === undefined) t.strictSame(wrong, [], name)
    else t.match(wrong, { length: 1, 0: found }, name)
  }
})

t.test('rows of nobody, rows of another call, and money that was made', { skip }, async t => {
  const url = await freshUrl(t, 'postgres')
  await ask(url, schema)
  t.strictSame(await judgeAccounts(url), [])
  const ledger = new Ledger(0)
  ledger.add(entry('insert', 'done'))
  await ask(url, "INSERT INTO entry VALUES (0, 1, 'note 4711'), (5, 1, 'note 5')")
  t.match(judgeClient(ledger, await readTruth(url, 0), limits), { length: 2, 0: /values of another call/, 1: /id 5, which no call had/ })
  await ask(url, 'INSERT INTO transfer VALUES (1, 1, 2, 5)')
  await ask(url, 'UPDATE account SET balance = balance + 5 WHERE id = 2')
  t.match(await judgeAccounts(url), { length: 2, 0: /sum of the accounts/, 1: `account 1 has ${START_BALANCE}; its transfers make ${START_BALANCE - 5}` })
})

t.test('a run in which nothing succeeds is none', async t => {
  const ledger = new Ledger(0)
  for (const kind of kinds) ledger.add(entry(kind, 'done'))
  t.strictSame(judgeEffort([ledger]), [])
  for (let i = 0; i < 100; i++) ledger.add(entry('read', 'failed'))
  t.match(judgeEffort([ledger]), [/only 6 of 106/])
  t.equal(judgeEffort([new Ledger(1)]).length, kinds.length)
})
