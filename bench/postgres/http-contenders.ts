/**
 * The web servers that are measured: Fastify with each library in it, as the library's documents show it, and Fastify alone.
 *
 * What is kept true: the same routes, the same rows, at most 10 connections. `read` answers one row by its id; `move` is a transaction of three statements: read an
 * account, add one to it, write an entry. A library that is not installed is left out and named.
 */
import fastifyPostgres from '@fastify/postgres'
import type { FastifyInstance } from 'fastify'
import config from '../../plugins/config/index.ts'
import db from '../../plugins/db/index.ts'
import tx from '../../plugins/tx/index.ts'
import { isInstalled } from '../packages.ts'
import { BridgeClient } from './bridge-client.ts'
import { CONNECTIONS } from './clients.ts'
import { sql, type Item } from './data.ts'
import type { HttpContender, Routes } from './http-contender.ts'
import { libraries } from './http-libraries.ts'
import { prepare, transferAwaited, transferByName, transferByPg, transferNotAwaited, type PgQuery } from './transfers.ts'

export const HELLO = 'hello, without a database'
export const OURS = 'ours'
export const OURS_DEFAULT = 'ours, in a read transaction'
export const OURS_NOT_AWAITED = 'ours, writes not awaited'
export const PG_TEXT = '@fastify/postgres, text'
export const PG_NAMED = '@fastify/postgres, named'
export const BRIDGE_POLL = 'bridge, poll'
export const BRIDGE_NOTIFY = 'bridge, notify'

export const httpContenders: Readonly<Record<string, HttpContender>> = {
  [HELLO]: { reads: true, moves: false, open: async () => ({ read: async id => ({ id, a: 1, b: 'hello', c: 0.5 }) }) },

  [PG_TEXT]: {
    reads: true,
    moves: true,
    async open (app, url) {
      await openPg(app, url)
      return {
        read: async id => (await app.pg.query<Item>(sql.point, [id])).rows[0],
        move: (account, request) => transferByPg(request.pg as PgQuery, account),
        moveOptions: { pg: { transact: true } }
      }
    }
  },

  [PG_NAMED]: {
    reads: true,
    moves: true,
    async open (app, url) {
      await openPg(app, url)
      return {
        read: async id => (await app.pg.query<Item>({ name: 'point', text: sql.point, values: [id] })).rows[0],
        move: (account, request) => transferByName(request.pg as PgQuery, account),
        moveOptions: { pg: { transact: true } }
      }
    }
  },

  ...libraries,

  [OURS]: {
    reads: true,
    moves: true,
    async open (app, url) {
      await openOurs(app, url)
      const point = app.db.prepare<Item>(sql.point)
      const statements = prepare(app.db)
      return { read: id => point.get(id), readOptions: { config: { tx: false } }, move: account => transferAwaited(statements, account) }
    }
  },

  [OURS_DEFAULT]: {
    reads: true,
    moves: false,
    async open (app, url) {
      await openOurs(app, url)
      const point = app.db.prepare<Item>(sql.point)
      return { read: id => point.get(id) }
    }
  },

  [OURS_NOT_AWAITED]: {
    reads: false,
    moves: true,
    async open (app, url) {
      await openOurs(app, url)
      const statements = prepare(app.db)
      return { move: account => transferNotAwaited(statements, account) }
    }
  }
}

/** For bridge.ts only. */
export const bridgeContenders: Readonly<Record<string, HttpContender>> = {
  [BRIDGE_POLL]: { reads: true, moves: false, open: async (_, url) => await openBridge(url, false) },
  [BRIDGE_NOTIFY]: { reads: true, moves: false, open: async (_, url) => await openBridge(url, true) }
}

/** Of all, those that are installed. */
export function installed (contenders: Readonly<Record<string, HttpContender>>): string[] {
  return Object.keys(contenders).filter(name => (contenders[name]?.needs ?? []).every(isInstalled))
}

async function openPg (app: FastifyInstance, url: string): Promise<void> {
  await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
}

async function openOurs (app: FastifyInstance, url: string): Promise<void> {
  await app.register(config, { env: { DATABASE_URL: url, DB_POOL_MAX: String(CONNECTIONS) } })
  await app.register(db)
  await app.register(tx)
}

async function openBridge (url: string, notifies: boolean): Promise<Routes> {
  const bridge = await BridgeClient.open(url, notifies)
  return { read: async id => bridge.query(sql.point, [id])[0] }
}
