/**
 * `GET /ops/metrics`: what the layer has counted, for Prometheus; as OpenMetrics for those who accept that. docs/ops.md has the table, and a test keeps it equal to the definitions below.
 *
 * What is kept true: nothing is counted twice: all but transactions, memory events and the lag is read from `app.db.status()` at the moment of asking. Of statements no text is a label, only its fingerprint.
 */
import type { FastifyInstance } from 'fastify'
import type {} from '../config/index.ts' // app.config
import { countConnections } from '../config/rules.ts'
import type {} from '../db/index.ts' // app.db
import { sumHistograms } from '../db/meter.ts'
import type { DatabaseStatus, StatementStatus } from '../db/types.ts'
import type {} from '../tx/index.ts' // config.tx
import { Counts } from './counts.ts'
import { fingerprintOf, redact } from './fingerprint.ts'
import { asOpenMetrics, register, type Definition } from './registry.ts'

const SLOWEST = 20

export function addMetrics (scope: FastifyInstance): void {
  const { ops: { registry } } = scope
  const source = new Source(scope)
  for (const definition of definitions) register(registry, definition, source)
  scope.addHook('onClose', async () => { source.counts.close() })
  scope.get('/ops/metrics', { config: { tx: false } }, async ({ headers: { accept = '' } }, reply) => {
    const asked = accept.includes('application/openmetrics-text') ? asOpenMetrics(registry) : registry
    reply.type(asked.contentType)
    return await asked.metrics()
  })
}

/** What the metrics are read from. One look at the database is for all that are read at once. */
export class Source {
  readonly counts = new Counts()
  readonly config: FastifyInstance['config']
  readonly #db: FastifyInstance['db']
  #status: DatabaseStatus | undefined

  constructor ({ db, config }: Pick<FastifyInstance, 'db' | 'config'>) {
    this.#db = db
    this.config = config
  }

  get status (): DatabaseStatus {
    if (this.#status !== undefined) return this.#status
    queueMicrotask(() => { this.#status = undefined })
    return this.#status = this.#db.status()
  }

  /** As OpenTelemetry calls it. */
  get system (): { db_system_name: string } {
    return { db_system_name: this.config.database.engine === 'postgres' ? 'postgresql' : 'sqlite' }
  }
}

/** Those that took longest on average, with all texts that have the same fingerprint in one. */
export function slowest (statements: readonly StatementStatus[], count = SLOWEST): Array<Pick<StatementStatus, 'total' | 'failures'> & { fingerprint: string, sql: string }> {
  const byFingerprint = new Map<string, StatementStatus[]>()
  for (const statement of statements) {
    const redacted = redact(statement.sql)
    byFingerprint.set(redacted, [...byFingerprint.get(redacted) ?? [], statement])
  }
  const all = [...byFingerprint].map(([sql, same]) => ({
    sql, fingerprint: fingerprintOf(sql), total: sumHistograms(same.map(({ total }) => total)), failures: same.reduce((sum, { failures }) => sum + failures, 0)
  }))
  const mean = ({ total }: typeof all[number]): number => total.count === 0 ? 0 : total.sumMs / total.count
  return all.sort((a, b) => mean(b) - mean(a)).slice(0, count)
}

const seconds = (ms: number): number => ms / 1000

export const definitions: readonly Definition<Source>[] = [
  {
    name: 'db_client_operation_duration_seconds',
    type: 'histogram',
    help: 'How long statements took that came to their end, by where they ran',
    labels: ['db_system_name', 'tandem_place'],
    read: ({ status, system }) => Object.entries(status.meters.runs).map(([place, runs]) => [runs, { ...system, tandem_place: place }])
  },
  {
    name: 'db_client_operation_failures_total',
    type: 'counter',
    help: 'Statements that failed, by the kind of their error',
    labels: ['db_system_name', 'error_type'],
    read: ({ status, system }) => Object.entries(status.meters.failures).map(([kind, count]) => [count, { ...system, error_type: kind }])
  },
  {
    name: 'db_client_connection_count',
    type: 'gauge',
    help: 'Places for statements and transactions that are in use, and connections or threads that are open and idle',
    labels: ['pool', 'state'],
    read: ({ status }) => [
      ...Object.entries(status.queues).map(([pool, { used }]) => [used, { pool, state: 'used' }] as const),
      ...status.sqlite === undefined ? [] : [[status.sqlite.idleThreads, { pool: 'threads', state: 'idle' }] as const],
      ...status.postgres === undefined ? [] : [[status.postgres.idle, { pool: 'connections', state: 'idle' }] as const]
    ]
  },
  {
    name: 'db_client_connection_pending_requests',
    type: 'gauge',
    help: 'Statements and transactions that wait for a place',
    labels: ['pool'],
    read: ({ status }) => Object.entries(status.queues).map(([pool, { waiting }]) => [waiting, { pool }])
  },
  {
    name: 'db_client_connection_wait_time_seconds',
    type: 'histogram',
    help: 'How long statements and transactions waited for a place',
    labels: ['db_system_name'],
    read: ({ status, system }) => [[status.meters.waits, system]]
  },
  {
    name: 'tandem_statement_duration_seconds',
    type: 'histogram',
    help: `The ${SLOWEST} statements that take longest on average; /ops/statements/slow has their texts`,
    labels: ['fingerprint'],
    read: ({ status }) => slowest(status.statements).map(({ fingerprint, total }) => [total, { fingerprint }])
  },
  {
    name: 'tandem_statement_failures_total',
    type: 'counter',
    help: 'How often the same statements failed',
    labels: ['fingerprint'],
    read: ({ status }) => slowest(status.statements).map(({ fingerprint, failures }) => [failures, { fingerprint }])
  },
  {
    name: 'tandem_transactions_total',
    type: 'counter',
    help: 'Transactions that have ended, those of requests included; none: nothing was asked of the database',
    labels: ['outcome', 'mode'],
    read: ({ counts }) => counts.transactions.map(({ outcome, mode, count }) => [count, { outcome, mode }])
  },
  {
    name: 'tandem_transaction_duration_seconds',
    type: 'histogram',
    help: 'How long transactions took, waiting and retries included',
    labels: ['mode'],
    read: ({ counts }) => Object.entries(counts.durations).map(([mode, duration]) => [duration, { mode }])
  },
  {
    name: 'tandem_transaction_retries_total',
    type: 'counter',
    help: 'Attempts at transactions beyond the first',
    labels: [],
    read: ({ counts }) => [[counts.retries]]
  },
  {
    name: 'tandem_eventloop_inline_seconds_total',
    type: 'counter',
    help: 'SQLite: how long statements kept the event loop, all in all: the rate is their part of it',
    labels: [],
    read: ({ status }) => status.sqlite === undefined ? [] : [[seconds(status.meters.runs.inline.sumMs)]]
  },
  {
    name: 'tandem_eventloop_stalls_total',
    type: 'counter',
    help: 'SQLite: statements that kept the event loop longer than DB_EVENT_LOOP_BUDGET',
    labels: [],
    read: ({ status: { sqlite } }) => sqlite === undefined ? [] : [[sqlite.stalls.count]]
  },
  {
    name: 'tandem_eventloop_stall_longest_seconds',
    type: 'gauge',
    help: 'SQLite: the longest of these since the start',
    labels: [],
    read: ({ status: { sqlite } }) => sqlite === undefined ? [] : [[seconds(sqlite.stalls.longestMs)]]
  },
  {
    name: 'nodejs_eventloop_lag_seconds',
    type: 'gauge',
    help: 'How late the event loop was, since it was last asked',
    labels: ['quantile'],
    read: ({ counts }) => counts.readLag().map(([quantile, ms]) => [seconds(ms), { quantile }])
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Memory of the process, files that are mapped included',
    labels: [],
    read: () => [[process.memoryUsage.rss()]]
  },
  {
    name: 'tandem_memory_anonymous_bytes',
    type: 'gauge',
    help: 'SQLite on Linux: memory of the process that is its own (RssAnon): what the limits are about',
    labels: [],
    read: ({ status: { sqlite } }) => sqlite?.anonymousBytes === undefined ? [] : [[sqlite.anonymousBytes]]
  },
  {
    name: 'tandem_memory_limit_bytes',
    type: 'gauge',
    help: 'SQLite: SQLITE_SOFT_HEAP_LIMIT and SQLITE_HARD_HEAP_LIMIT; cache: what all page caches hold when they are full',
    labels: ['limit'],
    read: ({ status, config: { sqlite } }) => status.sqlite === undefined
      ? []
      : [[sqlite.softHeapBytes, { limit: 'soft' }], [sqlite.hardHeapBytes, { limit: 'hard' }], [sqlite.cacheBytes * countConnections(sqlite.readers), { limit: 'cache' }]]
  },
  {
    name: 'tandem_memory_events_total',
    type: 'counter',
    help: 'SQLite: released: memory went back to the operating system; ended: a statement was stopped because the process had too much',
    labels: ['what'],
    read: ({ status, counts }) => status.sqlite === undefined ? [] : Object.entries(counts.memory).map(([what, count]) => [count, { what }])
  },
  {
    name: 'tandem_pool_events_total',
    type: 'counter',
    help: 'Connections and threads that were opened, closed and lost',
    labels: ['what'],
    read: ({ counts }) => Object.entries(counts.pool).map(([what, count]) => [count, { what }])
  },
  {
    name: 'tandem_sqlite_wal_bytes',
    type: 'gauge',
    help: 'SQLite: the size of the write-ahead log',
    labels: [],
    read: ({ status: { sqlite } }) => sqlite === undefined ? [] : [[sqlite.walBytes]]
  },
  {
    name: 'tandem_sqlite_threads',
    type: 'gauge',
    help: 'SQLite: reader threads that run',
    labels: [],
    read: ({ status: { sqlite } }) => sqlite === undefined ? [] : [[sqlite.threads]]
  },
  {
    name: 'tandem_replica_lag_seconds',
    type: 'gauge',
    help: 'PostgreSQL: how far the replica is behind, when it was last looked at',
    labels: [],
    read: ({ status: { replica } }) => replica === undefined ? [] : [[seconds(replica.lagMs)]]
  },
  {
    name: 'tandem_replica_ready',
    type: 'gauge',
    help: 'PostgreSQL: 1 while reads go to the replica, 0 while it lags or is down',
    labels: [],
    read: ({ status: { replica } }) => replica === undefined ? [] : [[replica.state === 'ready' ? 1 : 0]]
  }
]

/** The table of docs/ops.md. */
export function metricsTable (): string {
  return [
    '| Metric | Type | Labels | Meaning |',
    '|---|---|---|---|',
    ...definitions.map(({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help}. |`)
  ].join('\n')
}
