/**
 * The PostgreSQL engine: how it reads SQL, and whether something goes to the primary or to the replica.
 *
 * To the replica go read transactions, and reads on their own if that is wanted. An error of the replica is never told: what failed there is done again at the primary, and
 * what that says counts.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { DbBackup, DbClosed, EventsMissing, EventsPooled } from '../../errors.ts'
import { sumMeters } from '../meter.ts'
import { createParser, postgresTokens, type Dialect } from '../sql.ts'
import type { Activity, BeginOptions, ChannelEvent, Connection, Engine, EngineStatus, Limits, Listener, Log, Method, Params, Query, Row, Script } from '../types.ts'
import type { PostgresConnection } from './connection.ts'
import { Listening, NOTIFY } from './listening.ts'
import { Opener, type PostgresSettings } from './open.ts'
import { Replica, type ReplicaSettings } from './replica.ts'
import { ReplicaConnection } from './replica-connection.ts'
import { PostgresServer } from './server.ts'

export interface EngineSettings extends PostgresSettings {
  readonly replica?: ReplicaSettings | undefined
}

const dialect: Dialect = {
  tokens: postgresTokens,
  nestedComments: true,
  placeholder: index => `$${index}`
}

/** The start waits so long for the replica; later it waits for nobody. */
const START_MS = 1000

/** Connects; to the replica, too, if it can be reached. Throws `TDM_ERR_DB_OPEN`. */
export async function openPostgres (settings: EngineSettings, log: Log): Promise<Engine> {
  const replica = settings.replica === undefined ? undefined : new Replica(settings, settings.replica, () => primary.askPosition(), log)
  const opener = new Opener(settings)
  const primary: PostgresServer = new PostgresServer(opener, await opener.openFirst(), settings, log, replica?.written)
  // code outside of requests sees what was there at the start: it may be a schema that another process has just migrated
  replica?.written.note(undefined, primary.askPosition())
  if (replica !== undefined) await Promise.race([replica.connect(), pause(START_MS, undefined, { ref: false })])
  const listening = new Listening(() => opener.connect(), { waitMs: settings.acquireTimeoutMs }, log)
  return new PostgresEngine(primary, replica, listening)
}

class PostgresEngine implements Engine {
  readonly name = 'postgres'
  readonly parser = createParser(dialect)
  readonly #primary: PostgresServer
  readonly #replica: Replica | undefined
  readonly #listening: Listening
  #isClosing = false

  constructor (primary: PostgresServer, replica: Replica | undefined, listening: Listening) {
    this.#primary = primary
    this.#replica = replica
    this.#listening = listening
  }

  execute (method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    if (this.#replica?.takes(query) === true) return this.#read(this.#replica, method, query, params, limits)
    return this.#primary.execute(method, query, params, limits)
  }

  async #read (replica: Replica, method: Method, query: Query, params: Params, limits: Limits): Promise<unknown> {
    try {
      const server = await replica.find(limits)
      if (server !== undefined) return await server.execute(method, query, params, limits)
    } catch (error) {
      replica.judge(error)
    }
    return await this.#primary.execute(method, query, params, limits)
  }

  batches (query: Query, params: Params, limits: Limits): AsyncGenerator<Row[], undefined> {
    return this.#primary.batches(query, params, limits)
  }

  async exec (script: Script, limits: Limits): Promise<void> {
    await this.#primary.exec(script, limits)
  }

  async begin (options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    if (this.#replica === undefined || options.mode === 'write') return await this.#primary.begin(options, limits, first)
    return await this.#beginToRead(this.#replica, options, limits, first)
  }

  async #beginToRead (replica: Replica, options: BeginOptions, limits: Limits, first: string): Promise<Connection> {
    const beginOnPrimary = async (limits: Limits, first: string): Promise<PostgresConnection> => await this.#primary.beginApart(options, limits, first)
    try {
      const server = await replica.find(limits, options.isolation)
      const connection = await server?.beginApart(options, limits, first)
      if (connection !== undefined) {
        return new ReplicaConnection({ connection, beginOnPrimary, isReadCommitted: replica.isReadCommitted(options), onFailure: error => { replica.suspect(error) } })
      }
    } catch (error) {
      replica.judge(error)
    }
    return await beginOnPrimary(limits, first)
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
    const primary = this.#primary.status()
    const replica = this.#replica?.status
    if (replica === undefined) return primary
    return { ...replica, statements: [...primary.statements, ...replica.statements], queues: { ...primary.queues, ...replica.queues }, meters: sumMeters([primary.meters, ...replica.meters]) }
  }

  activity (): Activity {
    const all = [this.#primary.activity(), ...this.#replica?.activities() ?? []]
    return { statements: all.flatMap(({ statements }) => statements), transactions: all.flatMap(({ transactions }) => transactions) }
  }

  async close (graceMs: number): Promise<void> {
    this.#isClosing = true
    await Promise.all([this.#listening.close(), this.#primary.close(graceMs), this.#replica?.close(graceMs)])
  }
}
