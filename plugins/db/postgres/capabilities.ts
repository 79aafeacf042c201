/**
 * What servers can do that speak PostgreSQL's protocol and are something else. Taken from what they publish; of these only PostgreSQL is tested, the others by what is not
 * sent to them.
 *
 *  - CockroachDB: https://www.cockroachlabs.com/docs/stable/postgresql-compatibility (advisory locks do nothing, no LISTEN, ids of transactions are its own)
 *  - YugabyteDB: https://docs.yugabyte.com/stable/develop/postgresql-compatibility/ (no LISTEN by default, advisory locks since 2025.1, pg_xact_status is not kept)
 *  - Aurora DSQL: https://docs.aws.amazon.com/aurora-dsql/latest/userguide/working-with-postgresql-compatibility-unsupported-features.html (no savepoints, no advisory locks)
 * All of them ask for transactions to be run again with SQLSTATE 40001, also in answer to COMMIT, which `retry` does.
 */
export type Compatibility = 'postgres' | 'cockroachdb' | 'yugabytedb' | 'dsql'

export interface Capabilities {
  readonly savepoints: boolean
  readonly advisoryLocks: boolean
  readonly listen: boolean
  /** What became of a transaction can be asked for by its id. */
  readonly transactionIds: boolean
  /** The settings that a session gets, and the process id that tells of a pooler, are PostgreSQL's. */
  readonly sessions: boolean
  /** Statements may be sent before those before them are answered. */
  readonly pipelines: boolean
}

const other: Capabilities = { savepoints: true, advisoryLocks: false, listen: false, transactionIds: false, sessions: false, pipelines: false }

export const capabilities: Readonly<Record<Compatibility, Capabilities>> = {
  postgres: { savepoints: true, advisoryLocks: true, listen: true, transactionIds: true, sessions: true, pipelines: true },
  cockroachdb: other,
  yugabytedb: other,
  dsql: { ...other, savepoints: false }
}
