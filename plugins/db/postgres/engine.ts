/** The PostgreSQL engine: how it reads SQL, and where something goes. */
import { DbBackup, DbClosed, EventsMissing, EventsPooled } from '../../errors.ts'
import { createParser, postgresTokens, type Dialect } from '../sql.ts'
import type { BeginOptions, ChannelEvent, Connection, Engine, EngineStatus, Limits, Listener, Log, Method, Params, Query, Row, Script } from '../types.ts'
import { Listening, NOTIFY } from './listening.ts'
import { Opener, type PostgresSettings } from './open.ts'
import { PostgresServer } from './server.ts'

const dialect: Dialect = {
  tokens: postgresTokens,
  nestedComments: true,
  placeholder: index => `$${index}`
}

/** Connects. Throws `TDM_ERR_DB_OPEN`. */
export async function openPostgres (settings: PostgresSettings, log: Log): Promise<Engine> {
  const opener = new Opener(settings)
  const first = await opener.openFirst()
  const listening = new Listening(() => opener.connect(), { waitMs: settings.acquireTimeoutMs }, log)
  return new PostgresEngine(new PostgresServer(opener, first, settings, log), listening)
}

class PostgresEngine implements Engine {
  readonly name = 'postgres'
  readonly parser = createParser(dialect)
  readonly #primary: PostgresServer
  readonly #listening: Listening
  #isClosing = false

  constructor (primary: PostgresServer, listening: Listening) {
    this.#primary = primary
    this.#listening = listening
  }

  execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    return this.#primary.execute(method, query, params, limits)
  }

  batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    return this.#primary.batches(query, params, limits)
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#primary.exec(script, limits)
  }

  async begin (options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    return await this.#primary.begin(options, limits, first)
  }

  async listen (channel: string, fn: (event: ChannelEvent) => unknown, limits: Limits): Promise<Listener> {
    if (this.#isClosing) throw new DbClosed()
    if (this.#primary.isPooled) throw new EventsPooled()
    if (!this.#primary.can.listen) throw new EventsMissing()
    return await this.#listening.listen(channel, fn, limits)
  }

  async notify (channel: string, payload: string, limits: Limits): Promise<void> {
    await this.execute('run', NOTIFY, [channel, payload], limits)
  }

  async backup (path: string): Promise<never> {
    throw new DbBackup(path, 'the database is PostgreSQL. Use pg_dump.')
  }

  status (): EngineStatus {
    return this.#primary.status()
  }

  async close (graceMs: number): Promise<void> {
    this.#isClosing = true
    await Promise.all([this.#listening.close(), this.#primary.close(graceMs)])
  }
}
