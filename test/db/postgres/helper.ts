/** Parts of the PostgreSQL engine on their own: a session, and a lane over one. Also for programs that are no tests: tap is not loaded here. */
import type { Test } from 'tap'
import { readConfig } from '../../../plugins/config/index.ts'
import { Repeatable } from '../../../plugins/db/postgres/call.ts'
import { EXPIRED, Lane, LaneCall } from '../../../plugins/db/postgres/lane.ts'
import { Opener, type PostgresSettings } from '../../../plugins/db/postgres/open.ts'
import type { Session } from '../../../plugins/db/postgres/session.ts'
import { toPostgres } from '../../../plugins/db/postgres/values.ts'
import { Placement } from '../../../plugins/db/placement.ts'
import { limitError } from '../../../plugins/db/scope.ts'
import { bindValues, createParser, postgresTokens } from '../../../plugins/db/sql.ts'
import type { Database, Engine, Limits, Method, Query, Value } from '../../../plugins/db/types.ts'

export const unlimited: Limits = { deadline: Infinity, signal: undefined, held: [] }
export const parser = createParser({ tokens: postgresTokens, nestedComments: true, placeholder: index => `$${index}` })

/** What `openPostgres` takes, as the configuration has it. */
export function settingsFor (url: string, others: Partial<PostgresSettings> = {}): PostgresSettings {
  const { database, pool, acquireTimeoutMs, idleTimeoutMs, statementTimeoutMs, txTimeoutMs, txIdleTimeoutMs, result } = readConfig({ DATABASE_URL: url })
  if (database.engine !== 'postgres') throw new TypeError('expected the URL of a PostgreSQL')
  const { displayUrl } = database
  return {
    url, displayUrl, maxConnections: pool.max, lifetimeMs: pool.lifetimeMs, acquireTimeoutMs, idleTimeoutMs, statementTimeoutMs, txTimeoutMs, txIdleTimeoutMs, result,
    compatibility: 'postgres', preparedStatements: 250, ...others
  }
}

/** A session; `isLane`: of a lane, which is read only. Ended with the test. */
export async function openSession (t: Test, url: string, isLane = false, others: Partial<PostgresSettings> = {}): Promise<Session> {
  const opener = new Opener(settingsFor(url, others))
  const session = await opener.open()
  if (isLane) await opener.makeLane(session)
  t.teardown(() => { session.destroy(new Error('the test is over')) })
  return session
}

/** A lane, and what it hands back. */
export class TestLane {
  readonly lane: Lane
  readonly silent: LaneCall[][] = []
  readonly #placement = new Placement(1)
  readonly #onSilent = Promise.withResolvers<void>()

  constructor (session: Session) {
    this.lane = new Lane(session, { onCost: () => {}, onTick: () => {}, onSilent: calls => { this.#fallSilent(calls) } })
  }

  /** What it still has it may answer yet. */
  #fallSilent (calls: readonly LaneCall[]): void {
    this.silent.push([...calls])
    for (const call of calls) if (!call.isOnLane) call.reject(new Repeatable(new Error('the lane is silent'), 'lost'))
    this.#onSilent.resolve()
  }

  /** Resolves when it was silent for the first time. */
  get becameSilent (): Promise<void> {
    return this.#onSilent.promise
  }

  run (sql: string, params: readonly Value[] = [], limits = unlimited, method: Method = 'all'): Promise<unknown> {
    return this.runQuery(parser.parseQuery(sql), params, limits, method)
  }

  /** Of any text, also one that no app may send. */
  runQuery (query: Query, params: readonly Value[] = [], limits = unlimited, method: Method = 'all'): Promise<unknown> {
    const cost = this.#placement.costOf(query.sql, () => true)
    const { result } = settingsFor('postgres://nobody@localhost/none')
    return this.lane.run(new LaneCall(method, query, params, bindValues(query, params, toPostgres), result, limits, cost)).answered.catch((error: unknown) => { throw error === EXPIRED ? limitError(limits, query.sql) : error })
  }
}

/** What is known of a statement. */
export function statusOf (db: Pick<Database, 'status'> | Engine, sql: string): ReturnType<Database['status']>['statements'][number] | undefined {
  return db.status().statements.find(statement => statement.sql === sql)
}

/** Runs a short read until it has its place on a lane, and there is one. */
export async function learn (db: Database, sql: string, ...params: Value[]): Promise<void> {
  const statement = db.prepare(sql)
  const end = performance.now() + 20_000
  while (!(statusOf(db, sql)?.runs === 'lane' && (db.status().queues.lanes?.used ?? 0) > 0)) {
    await statement.all(...params)
    if (performance.now() > end) throw new Error(`not on a lane after 20 s: ${JSON.stringify(statusOf(db, sql))}`)
  }
}
