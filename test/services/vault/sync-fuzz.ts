/**
 * Writers of one group whose reports are lost, repeated and come in any order, several at once. At the end the tables have to hold what the ledger says, and the version of the
 * group has to have grown by the changes. Whole form: `npm run fuzz:vault -- [--reports 2000] [--seed n]`, on both engines.
 */
import { parseArgs } from 'node:util'
import t from 'tap'
import { Random } from '../../../bench/faults/random.ts'
import { readHoldings, readTotals } from '../../../scripts/vault-simulate/holdings.ts'
import { findDifferences, Ledger, totalsOf, type Acknowledged, type Pair } from '../../../scripts/vault-simulate/ledger.ts'
import { engines } from '../../helper/db.ts'
import { PostgresServer } from '../../helper/postgres-server.ts'
import { versionOf } from './reporter.ts'
import { startWorld, type Plugin, type World } from './world.ts'

export interface FuzzOptions { readonly writers: number, readonly reports: number, readonly seed: number }

/** What is wrong; nothing: []. */
export async function fuzzReports (world: World, { writers, reports, seed }: FuzzOptions): Promise<string[]> {
  const random = new Random(seed)
  const owner = await world.person('Ann')
  const group = await world.group(owner)
  const plugins = [await world.plugin(owner, group)]
  while (plugins.length < writers) {
    const person = await world.person(`P${plugins.length}`)
    plugins.push(await world.plugin(person, { groupId: group.groupId, memberId: await world.join(person, group) }))
  }
  const ledger = new Ledger()
  const problems: string[] = []
  await Promise.all(plugins.map(async (plugin, i) => { await openSession(world, plugin, i) }))
  const before = await versionOf(world, group.groupId)
  await Promise.all(plugins.map(async plugin => { await report(world, plugin, new Random(random.between(0, 2 ** 31)), reports, ledger, problems) }))
  const holdings = ledger.holdings(await world.sharedMember(group))
  problems.push(...findDifferences(holdings, await readHoldings(world.db, group.groupId)))
  if (JSON.stringify([...totalsOf(holdings)].sort()) !== JSON.stringify([...await readTotals(world.db, group.groupId)].sort())) problems.push('the totals are not those of the recomputation')
  const grown = await versionOf(world, group.groupId) - before
  if (grown !== ledger.changes) problems.push(`the version grew by ${grown}, and there were ${ledger.changes} changes`)
  return problems
}

async function openSession (world: World, plugin: Plugin, i: number): Promise<void> {
  await world.ask('POST', '/sync/sessions', { by: plugin, body: { accountHash: String(1000 + i), characterName: `P${i}`, clientTime: new Date(world.clock.now).toISOString() } })
}

interface Message { readonly path: string, readonly seq: number, readonly body: object, readonly note: (body: Acknowledged & { result: string }) => void }

/** Each report is one of these: lost, sent, or sent twice; up to eight at once, in an order that is not that of their numbers. */
async function report (world: World, plugin: Plugin, random: Random, reports: number, ledger: Ledger, problems: string[]): Promise<void> {
  let waiting: Message[] = []
  for (let seq = 1; seq <= reports; seq++) {
    const message = makeMessage(world, plugin, random, seq, ledger)
    if (random.chance(0.1)) continue
    waiting.push(message, ...random.chance(0.15) ? [message] : [])
    if (waiting.length < 8 && seq < reports) continue
    shuffle(waiting, random)
    const late = random.chance(0.5) && seq < reports ? waiting.splice(0, 2) : []
    await Promise.all(waiting.map(async ({ path, body, note }) => {
      const { status, body: answer, text } = await world.ask<Acknowledged & { result: string }>('POST', path, { by: plugin, body })
      if (status === 200) note(answer)
      else problems.push(`${path} was answered ${status} ${text}`)
    }))
    waiting = late
  }
}

function makeMessage (world: World, { memberId }: Plugin, random: Random, seq: number, ledger: Ledger): Message {
  const moment = { epoch: 1, seq }
  const items = (most: number): Pair[] => Array.from({ length: random.between(0, most) }, () => [random.between(1, 12), random.between(1, 3)])
  if (random.chance(0.15)) {
    const add: Pair[] = [[random.between(1, 12), random.between(1, 50)]]
    return { path: '/sync/deltas', seq, body: { ...moment, deltaId: `00000000-0000-4000-8000-${String(seq).padStart(12, '0')}`, container: 'bank', add }, note: ({ result }) => { ledger.noteDelta({ memberId, ...moment, add }, result) } }
  }
  const sizes = { inventory: 5, bank: 9, shared: 4, quiver: 1, seed_vault: 3 }
  const containers = Object.fromEntries(Object.entries(sizes).filter(() => random.chance(0.4)).map(([name, most]) => [name, { items: items(most) }]))
  if (Object.keys(containers).length === 0) containers.quiver = { items: items(1) }
  return {
    path: '/sync/containers', seq, body: { ...moment, capturedAt: new Date(world.clock.now).toISOString(), containers },
    note: answer => { ledger.note({ memberId, ...moment, containers }, answer) }
  }
}

function shuffle<T> (list: T[], random: Random): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    const [a, b] = [list[i], list[j]]
    if (a !== undefined && b !== undefined) [list[i], list[j]] = [b, a]
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { reports: { type: 'string', default: '2000' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) } } })
  const [reports, seed] = [Number(values.reports), Number(values.seed)]
  const server = await PostgresServer.start()
  process.env.TEST_DATABASE_URL = server.url
  t.setTimeout(3_600_000)
  t.teardown(async () => { await server.stop() })
  for (const engine of engines) {
    await t.test(`5 writers, ${reports} reports each, seed ${seed}, on ${engine}`, async t => {
      t.strictSame(await fuzzReports(await startWorld(t, engine, { rateLimitFactor: 1e6 }), { writers: 5, reports, seed }), [])
    })
  }
}
