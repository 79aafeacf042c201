/**
 * The plugin: opens the database that the configuration names, brings its schema up to date, and gives it to the app as `app.db`. On PostgreSQL `app.pg` of
 * @fastify/postgres is there as well, an ordinary pool of its own. Closed with the app, after the requests under way.
 */
import fastifyPostgres from '@fastify/postgres'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ClientBase } from 'pg'
import type {} from '../config/index.ts' // app.config
import { migrate, type MigrationSet } from './migrate.ts'
import { openDatabase } from './open.ts'
import { parseAddress } from './postgres/address.ts'
import { AddressClient, findConfig } from './postgres/connect.ts'
import type { Database } from './types.ts'

export { migrate, type AppliedMigration, type MigrationSet } from './migrate.ts'
export { openDatabase } from './open.ts'
export type {
  ChannelEvent, Column, Database, EngineName, Listener, Log, Params, Queryable, Row, RunResult, Statement, Transaction, TxOptions, TxState, Value
} from './types.ts'

declare module 'fastify' {
  interface FastifyInstance {
    db: Database
    /** As given to the db plugin. */
    dbMigrations: readonly MigrationSet[]
  }
}

export interface DbOptions {
  /** What the app's tables need; applied before the app is ready, in this order. Default: none. */
  migrations?: readonly MigrationSet[]
}

async function db (app: FastifyInstance, { migrations = [] }: DbOptions): Promise<void> {
  const { config, log } = app
  const database = await openDatabase(config, log)
  app.addHook('onClose', async () => { await database.close() })
  try {
    await migrate(database, migrations, { mode: config.migrate, log })
  } catch (error) {
    await database.close() // an app that failed to start may never be closed
    throw error
  }
  app.decorate('db', database)
  app.decorate('dbMigrations', migrations)
  if (config.database.engine === 'postgres') await app.register(fastifyPostgres, { ...await findConfig(parseAddress(config.database.url)), Client: AddressClient as unknown as new () => ClientBase, max: config.pool.max })
  log.info({ engine: database.engine, database: config.database.displayUrl }, 'database open')
}

/** Needs the config plugin. Throws `TDM_ERR_DB_OPEN`, or what `migrate` throws. */
export default fastifyPlugin(db, { name: 'tandem-db', dependencies: ['tandem-config'], fastify: '5.x' })
