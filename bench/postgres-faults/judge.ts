/** What must hold when a fault run is over: what each call was told fits what is in the database, and came in time. */
import { ask } from '../../test/helper/pg.ts'
import { CALLS_A_CLIENT, kinds, type Entry, type Kind, type Ledger } from './ledger.ts'
import { ACCOUNTS, noteOf, START_BALANCE, type Times } from './tables.ts'

/** What the database has of one client. */
export interface Truth {
  /** Rows of `entry` by id; -1 where one of them has a wrong note. */
  readonly rows: ReadonlyMap<number, number>
  readonly transfers: ReadonlySet<number>
  readonly counter: number
}

export interface Limits extends Times {
  /** On top of the time-outs. */
  readonly graceMs: number
}

const onItsOwn: ReadonlySet<Kind> = new Set(['insert', 'returning', 'increment', 'read'])

export async function readTruth (url: string, client: number): Promise<Truth> {
  const range = [client * CALLS_A_CLIENT, (client + 1) * CALLS_A_CLIENT - 1]
  const rows = await ask<{ id: string, n: number, note: string, is_same: boolean }>(url, `SELECT id, count(*)::int AS n, min(note) AS note, min(note) = max(note) AS is_same
    FROM entry WHERE id BETWEEN $1 AND $2 GROUP BY id`, range)
  const transfers = await ask<{ id: string }>(url, 'SELECT id FROM transfer WHERE id BETWEEN $1 AND $2', range)
  const [counter] = await ask<{ n: string }>(url, 'SELECT n FROM counter WHERE client = $1', [client])
  return {
    rows: new Map(rows.map(({ id, n, note, is_same: isSame }) => [Number(id), isSame && note === noteOf(Number(id)) ? n : -1])),
    transfers: new Set(transfers.map(({ id }) => Number(id))),
    counter: Number(counter?.n)
  }
}

/** What is wrong with the calls of one client. */
export function judgeClient (ledger: Ledger, truth: Truth, limits: Limits): string[] {
  const wrong: string[] = []
  for (const entry of ledger.entries()) {
    for (const what of [judgeRows(entry, truth), judgeTime(entry, limits), judgeCode(entry)]) if (what !== undefined) wrong.push(`${describe(entry)} ${what}`)
  }
  for (const id of [...truth.rows.keys(), ...truth.transfers]) if (ledger.find(id) === undefined) wrong.push(`client ${ledger.client}: rows with the id ${id}, which no call had`)
  return [...wrong, ...judgeCounter(ledger, truth)]
}

function judgeRows ({ id, kind, rows, outcome }: Entry, truth: Truth): string | undefined {
  if (kind === 'read' || kind === 'increment') return undefined
  const expected = kind === 'transfer' ? 1 : rows
  const found = kind === 'transfer' ? Number(truth.transfers.has(id)) : truth.rows.get(id) ?? 0
  if (found !== 0 && found !== expected) return found < 0 ? 'has rows with the values of another call' : `has ${found} of its ${expected} rows`
  if (outcome === 'done' && found === 0) return 'was told as done, and is not there'
  if (outcome === 'failed' && found > 0) return 'was told as failed, and is there'
  return undefined
}

function judgeTime ({ kind, ms }: Entry, { statementMs, txMs, graceMs }: Limits): string | undefined {
  const most = (onItsOwn.has(kind) ? statementMs : txMs) + graceMs
  return ms > most ? `took ${ms} ms, which is more than ${Math.round(most)}` : undefined
}

/** Faults are no mistakes of the statements. */
function judgeCode ({ code }: Entry): string | undefined {
  return code === '' || (/^TDM_ERR_(?:DB|TX|POOL)_/.test(code) && !/_(?:UNIQUE|SYNTAX|OTHER|BIND|POOL_DEADLOCK|TX_CLOSED)$/.test(code)) ? undefined : 'ended with an error that no fault explains'
}

/** A statement that ran twice shows here. */
function judgeCounter (ledger: Ledger, { counter }: Truth): string[] {
  const of = (outcome: Entry['outcome']): number => [...ledger.entries()].filter(entry => entry.kind === 'increment' && entry.outcome === outcome).length
  const [done, unknown, failed] = [of('done'), of('unknown'), of('failed')]
  if (counter >= done && counter <= done + unknown) return []
  return [`client ${ledger.client}: its counter is ${counter}, and of its increments ${done} were told as done, ${unknown} as unknown and ${failed} as failed`]
}

/** The accounts are what the transfers made of them, and nothing was made or lost. */
export async function judgeAccounts (url: string): Promise<string[]> {
  const [total] = await ask<{ sum: string }>(url, 'SELECT sum(balance) AS sum FROM account')
  const expected = ACCOUNTS * START_BALANCE
  const wrong = Number(total?.sum) === expected ? [] : [`the sum of the accounts is ${total?.sum}, not ${expected}`]
  const rows = await ask<{ id: string, balance: string, expected: string }>(url, `SELECT id, balance, ${START_BALANCE}
      + coalesce((SELECT sum(amount) FROM transfer WHERE target = account.id), 0) - coalesce((SELECT sum(amount) FROM transfer WHERE source = account.id), 0) AS expected
    FROM account`)
  const differing = rows.filter(({ balance, expected }) => balance !== expected).map(({ id, balance, expected }) => `account ${id} has ${balance}; its transfers make ${expected}`)
  return [...wrong, ...differing]
}

/** A run in which little succeeded, or in which a kind of call never did, shows nothing. */
export function judgeEffort (ledgers: readonly Ledger[]): string[] {
  const done = new Map<Kind, number>()
  let calls = 0
  for (const ledger of ledgers) {
    calls += ledger.length
    for (const { kind, outcome } of ledger.entries()) if (outcome === 'done') done.set(kind, (done.get(kind) ?? 0) + 1)
  }
  const all = [...done.values()].reduce((a, b) => a + b, 0)
  return [...kinds.filter(kind => !done.has(kind)).map(kind => `no ${kind} has succeeded`), ...(all < calls / 4 ? [`only ${all} of ${calls} calls have succeeded`] : [])]
}

function describe ({ id, kind, rows, outcome, code, ms, at }: Entry): string {
  return `call ${id} (${kind}${rows > 0 ? `, ${rows} rows` : ''}; ${outcome}${code === '' ? '' : ` ${code}`} after ${ms} ms, ${(at / 1000).toFixed(1)} s into the run)`
}
