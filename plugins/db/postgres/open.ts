/**
 * Opens sessions with PostgreSQL: pg connects, then each session gets what it has to have. Behind a pooler (PgBouncer) in transaction mode a session is not one of the
 * server's, so there only what the pooler keeps for its clients is set, and what else is needed goes into each transaction.
 */
import type pg from 'pg'
import { DbOpen } from '../../errors.ts'
import type { ResultLimits } from '../result.ts'
import type { BeginOptions } from '../types.ts'
import { parseAddress, type Address } from './address.ts'
import { capabilities, type Capabilities, type Compatibility } from './capabilities.ts'
import { connectFirst, openClient } from './connect.ts'
import { ConnectFailure, explainConnectError } from './explain.ts'
import { LONGEST_ON_LANE_MS } from './lane.ts'
import { Session } from './session.ts'

export interface PostgresSettings {
  /** postgres://user:password@host:port/database?sslmode=… */
  readonly url: string
  /** The same without the password, for messages. */
  readonly displayUrl: string
  readonly maxConnections: number
  readonly acquireTimeoutMs: number
  readonly result: ResultLimits
  /** What a statement and a transaction may take unless they say otherwise: the server's own limits are a little longer. */
  readonly statementTimeoutMs: number
  readonly txTimeoutMs: number
  /** After how long without a statement a transaction is rolled back when others wait. */
  readonly txIdleTimeoutMs: number
  /** An unused connection is closed after this time. */
  readonly idleTimeoutMs: number
  /** A connection is not used again when it is older. */
  readonly lifetimeMs: number
  /** How many statements each connection keeps prepared. */
  readonly preparedStatements: number
  /** What the server is. */
  readonly compatibility: Compatibility
  /** Default: at least `SHORTEST_CONNECT_MS`. */
  readonly connectTimeoutMs?: number
  /** There is another server: who waits for this one is told at once that it cannot be reached. Default: false. */
  readonly failsAtOnce?: boolean
}

/** What was found out about the server. */
export interface Server {
  /** 180004 is 18.4. */
  readonly version: number
  /** There is a pooler in between. */
  readonly isPooled: boolean
  /** Prepared statements are kept from one transaction to the next. */
  readonly keepsStatements: boolean
  /** Of a transaction that does not say which. */
  readonly isolation: string
  /** What a statement takes that costs the server nothing. */
  readonly roundTripMs: number
}

/** Connecting takes a few round trips, and the server starts a process. */
const SHORTEST_CONNECT_MS = 5000
/** The server's limits are a second net: they are longer than ours. */
const LATER_MS = 5000
const TRANSACTION_TIMEOUT_SINCE = 170_000
/** How often the server looks whether the client of a running statement is still there. */
const CHECK_CLIENT_MS = 1000

/** Stays the same over a clean restart, and changes when the server recovers from a crash, which throws its statistics away; any user may read it. */
export const RUN_OF_SERVER = '(SELECT stats_reset FROM pg_stat_bgwriter)::text'
const FORMS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'"

/** For what sets two settings. */
const LONGEST_CHANGE_MS = 1000

const runs = new WeakMap<Session, string>()

/** The run of the server that the session belongs to. */
export function runOf (session: Session): string | undefined {
  return runs.get(session)
}

export class Opener {
  readonly can: Capabilities
  readonly #settings: PostgresSettings
  readonly #address: Address
  /** The only one that is wanted. Undefined: any. */
  readonly #run: string | undefined
  #server: Server | undefined

  /** Throws `TDM_ERR_DB_OPEN` for a URL that cannot be used. */
  constructor (settings: PostgresSettings, address = parseAddress(settings.url), run?: string) {
    this.#settings = settings
    this.can = capabilities[settings.compatibility]
    this.#address = address
    this.#run = run
  }

  /** Opens sessions with the server that `session` is with, and with no other that the address leads to. */
  pin (session: Session): Opener {
    const { host, port } = session.client
    const servers = this.#address.servers.filter(({ ways }) => ways.some(way => way.host === host && way.port === port))
    const opener = new Opener(this.#settings, { ...this.#address, servers }, runOf(session))
    opener.#server = this.#server
    return opener
  }

  /** The server, once a session was opened. */
  get server (): Server {
    if (this.#server === undefined) throw new Error('no session was opened')
    return this.#server
  }

  /** A client of pg, for what needs a connection of its own. Rejects with the driver's error. */
  async connect (timeoutMs = this.#settings.connectTimeoutMs ?? Math.max(this.#settings.acquireTimeoutMs, SHORTEST_CONNECT_MS)): Promise<pg.Client> {
    return await connectFirst(this.#address, async config => await openClient({ connectionTimeoutMillis: Math.ceil(timeoutMs), ...config }))
  }

  /** The first session, so that a wrong address is found now. Throws `TDM_ERR_DB_OPEN`. */
  async openFirst (): Promise<Session> {
    try {
      return await this.open()
    } catch (error) {
      throw new DbOpen(this.#settings.displayUrl, explainConnectError(error), { cause: error })
    }
  }

  /** Rejects with the driver's error. */
  async open (): Promise<Session> {
    const client = await this.connect()
    try {
      const run = await this.#prepare(client)
      const session = new Session(client, { preparedStatements: this.server.keepsStatements ? this.#settings.preparedStatements : 0 })
      runs.set(session, run)
      return session
    } catch (error) {
      await client.end().catch(() => {})
      throw error
    }
  }

  /** From now on its transactions are read only, and its statements short. Rejects with the driver's error, and then the session has ended. */
  async makeLane (session: Session): Promise<void> {
    const timer = setTimeout(() => { session.destroy(new Error(`no answer in ${LONGEST_CHANGE_MS} ms`)) }, LONGEST_CHANGE_MS)
    const { error } = await session.runScript(settingsOf(String(LONGEST_ON_LANE_MS), 'on'))
    clearTimeout(timer)
    if (error === undefined) return
    session.destroy(error)
    throw error
  }

  /** As it was before `makeLane`: for whatever is sent from now on. */
  unmakeLane (session: Session): void {
    void session.runScript(settingsOf(laterMs(this.#settings.statementTimeoutMs), 'off')).then(({ error }) => { if (error !== undefined) session.destroy(error) })
  }

  /** Answers the run of the server. */
  async #prepare (client: pg.Client): Promise<string> {
    const run = this.can.transactionIds ? RUN_OF_SERVER : "''"
    const results = await client.query(`${FORMS}; SELECT ${run} AS run, pg_backend_pid() AS pid, current_setting('server_version_num') AS version, current_setting('default_transaction_isolation') AS isolation`) as unknown as
      Array<pg.QueryResult<{ run: string, pid: number, version: string, isolation: string }>>
    const row = results[2]?.rows[0]
    if (row === undefined) throw new Error('the server does not say who it is')
    if (this.#run !== undefined && row.run !== this.#run) throw new ConnectFailure('another server answers there than before, or it has recovered from a crash.')
    this.#server ??= await this.#meet(client, row)
    if (!this.#server.isPooled && this.can.sessions) await client.query(this.#limits())
    return row.run
  }

  async #meet (client: pg.Client, { pid, version, isolation }: { pid: number, version: string, isolation: string }): Promise<Server> {
    const isPooled = this.can.sessions && (client as unknown as { processID: number }).processID !== pid
    return { version: Number(version), isPooled, isolation, keepsStatements: !isPooled || await keepsStatements(client), roundTripMs: await measureRoundTrip(client) }
  }

  /** Sets those of the server's limits that it has. */
  #limits (): string {
    const { statementTimeoutMs, txTimeoutMs } = this.#settings
    const limits: Record<string, string> = {
      statement_timeout: laterMs(statementTimeoutMs),
      idle_in_transaction_session_timeout: laterMs(txTimeoutMs),
      transaction_timeout: laterMs(txTimeoutMs),
      default_transaction_read_only: 'off'
    }
    const values = Object.entries(limits).map(([name, value]) => `('${name}', '${value}')`).join(', ')
    return `SELECT set_config(v.name, v.value, false) FROM (VALUES ${values}) v (name, value) JOIN pg_settings USING (name);
      SELECT set_config(name, '${CHECK_CLIENT_MS}', false) FROM pg_settings WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%'`
  }

  /** SQL that sets the limits of one transaction, where they are not those of the session. */
  limitsOf ({ statementTimeoutMs, timeoutMs }: BeginOptions): string | undefined {
    if (!this.can.sessions) return undefined
    const { isPooled, version } = this.server
    const statement = statementTimeoutMs ?? this.#settings.statementTimeoutMs
    const transaction = timeoutMs ?? this.#settings.txTimeoutMs
    if (!isPooled && statement === this.#settings.statementTimeoutMs && transaction === this.#settings.txTimeoutMs) return undefined
    const names = ['idle_in_transaction_session_timeout', ...version >= TRANSACTION_TIMEOUT_SINCE ? ['transaction_timeout'] : []]
    const settings = [`set_config('statement_timeout', '${laterMs(statement)}', true)`, ...names.map(name => `set_config('${name}', '${laterMs(transaction)}', true)`)]
    return `SELECT ${settings.join(', ')}`
  }
}

async function measureRoundTrip (client: pg.Client): Promise<number> {
  const since = performance.now()
  await client.query('')
  return performance.now() - since
}

/** 0 is no limit. */
/** SQL that sets what a lane has of its own. */
function settingsOf (statementTimeout: string, readOnly: 'on' | 'off'): string {
  return `SELECT set_config('statement_timeout', '${statementTimeout}', false), set_config('default_transaction_read_only', '${readOnly}', false)`
}

function laterMs (ms: number): string {
  return Number.isFinite(ms) ? String(Math.min(2 ** 31 - 1, Math.ceil(ms) + LATER_MS)) : '0'
}

/**
 * A pooler that keeps prepared statements (PgBouncer from 1.21 on) gives them names of its own on the server; one that does not passes the name through, to a server
 * connection that is somebody else's next.
 */
async function keepsStatements (client: pg.Client): Promise<boolean> {
  const name = 'tandem_probe'
  await client.query('BEGIN')
  try {
    await client.query({ name, text: 'SELECT 1' })
    const { rows } = await client.query('SELECT 1 FROM pg_prepared_statements WHERE name = $1', [name])
    return rows.length === 0
  } finally {
    await client.query(`DEALLOCATE ${name}`).catch(() => {}) // one that renames it does not know it
    await client.query('ROLLBACK')
  }
}
