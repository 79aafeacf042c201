/** The package's door. */
export { default as config, readConfig, type Config } from './config/index.ts'
export { default as db, migrate, openDatabase } from './db/index.ts'
export type {
  AppliedMigration, ChannelEvent, Column, Database, EngineName, Listener, Log, MigrationSet, Params, Queryable, Row, RunResult, Statement, Transaction, TxOptions, TxState, Value
} from './db/index.ts'
export { default as tx } from './tx/index.ts'
export { default as ops } from './ops/index.ts'
export { fingerprintOf, operationOf, redact, summaryOf } from './ops/fingerprint.ts'
export type { MemoryEvent, PoolEvent, StatementEvent, TxEvent } from './db/events.ts'
export * as errors from './errors.ts'
export { describeError, errorKind, type DatabaseError, type ErrorKind } from './errors.ts'
