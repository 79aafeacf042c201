/**
 * Who reads rows by id: this package, better-sqlite3 without anything, a worker thread, and the libraries of bench/package.json, each as its documents show it.
 *
 * What is kept true: all read the same file, one row at a time, awaited if it is a promise. Only `sqlite3` is in a process of its own (sqlite3-process.ts says why),
 * and its times are taken there. A library that is not installed is left out and named.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type Sqlite from 'better-sqlite3'
import type { Database } from '../../plugins/db/types.ts'
import { isInstalled, load } from '../packages.ts'
import { Child } from './child.ts'
import { pointSql } from './data.ts'
import { spreadId, type Span } from './ids.ts'
import { openRaw } from './raw.ts'
import type { Asked } from './sqlite3-process.ts'

export interface Contender {
  readonly name: string
  /** The row with this id. */
  readonly get: (id: number) => unknown
  /** Nanoseconds a read, one after the other. */
  readonly time: (span: Span) => Promise<number>
  readonly close: () => unknown
}

const nothing = (): void => {}

// --- ours, raw, a thread ---------------------------------------------------------------------------------------------------------

export function readRaw (raw: Sqlite.Database): Contender[] {
  const statement = raw.prepare(pointSql)
  return [
    { name: 'better-sqlite3: statement.get(id)', get: id => statement.get(id), time: async span => timeSync(id => statement.get(id), span), close: nothing },
    awaited('better-sqlite3, in an async function', async id => statement.get(id))
  ]
}

export function readTandem (db: Database): Contender[] {
  const statement = db.prepare(pointSql)
  return [
    awaited('await db.prepare(sql).get(id)', id => db.prepare(pointSql).get(id)),
    awaited('await statement.get(id)', id => statement.get(id))
  ]
}

export async function readByWorker (path: string): Promise<Contender> {
  const worker = new Worker(new URL('point-worker.ts', import.meta.url), { workerData: { path, sql: pointSql } })
  const waiting: Array<(row: unknown) => void> = []
  worker.on('message', row => { waiting.shift()?.(row) })
  await once(worker, 'online')
  const get = (id: number): Promise<unknown> => new Promise(resolve => {
    waiting.push(resolve)
    worker.postMessage(id)
  })
  return awaited('better-sqlite3 in a worker thread', get, () => worker.terminate())
}

// --- libraries -------------------------------------------------------------------------------------------------------------------

/** What of their packages is used here; they are not there for everybody, so neither are their types. */
interface Kysely {
  Kysely: new (options: { dialect: unknown }) => {
    selectFrom: (table: string) => { select: (columns: string[]) => { where: (column: string, is: '=', value: unknown) => { executeTakeFirst: () => Promise<unknown> } } }
    destroy: () => Promise<void>
  }
  SqliteDialect: new (options: { database: Sqlite.Database }) => unknown
}
interface Knex {
  default: (options: object) => ((table: string) => { select: (...columns: string[]) => { where: (column: string, value: unknown) => { first: () => Promise<unknown> } } }) & { destroy: () => Promise<void> }
}
interface DrizzleQuery { get: (values?: object) => unknown, prepare: () => { get: (values: object) => unknown } }
interface Drizzle { drizzle: (options: { client: Sqlite.Database }) => { select: () => { from: (table: object) => { where: (condition: unknown) => DrizzleQuery } } } }
type DrizzleColumn = (name: string) => { primaryKey: () => unknown }
interface DrizzleCore { sqliteTable: (name: string, columns: object) => { id: unknown }, integer: DrizzleColumn, text: DrizzleColumn, real: DrizzleColumn }
interface DrizzleSql { eq: (column: unknown, value: unknown) => unknown, sql: { placeholder: (name: string) => unknown } }
interface TypeOrm {
  DataSource: new (options: object) => { initialize: () => Promise<void>, destroy: () => Promise<void>, getRepository: (entity: object) => { findOneBy: (where: object) => Promise<unknown> } }
  EntitySchema: new (options: object) => object
}

const columns = ['id', 'a', 'b', 'c']

type Opening = (path: string) => Promise<Contender[]>

const libraries: Readonly<Record<string, Opening>> = {
  async kysely (path) {
    const { Kysely, SqliteDialect } = await load<Kysely>('kysely')
    const db = new Kysely({ dialect: new SqliteDialect({ database: openRaw(path) }) })
    return [awaited('Kysely', id => db.selectFrom('item').select(columns).where('id', '=', id).executeTakeFirst(), () => db.destroy())]
  },

  async knex (path) {
    const { default: open } = await load<Knex>('knex')
    const db = open({ client: 'better-sqlite3', connection: { filename: path }, useNullAsDefault: true })
    return [awaited('Knex', id => db('item').select(...columns).where('id', id).first(), () => db.destroy())]
  },

  async 'drizzle-orm' (path) {
    const { drizzle } = await load<Drizzle>('drizzle-orm/better-sqlite3')
    const { sqliteTable, integer, text, real } = await load<DrizzleCore>('drizzle-orm/sqlite-core')
    const { eq, sql } = await load<DrizzleSql>('drizzle-orm')
    const client = openRaw(path)
    const item = sqliteTable('item', { id: integer('id').primaryKey(), a: integer('a'), b: text('b'), c: real('c') })
    const db = drizzle({ client })
    const prepared = db.select().from(item).where(eq(item.id, sql.placeholder('id'))).prepare()
    return [
      awaited('Drizzle', id => db.select().from(item).where(eq(item.id, id)).get(), () => client.close()),
      awaited('Drizzle, prepared', id => prepared.get({ id }))
    ]
  },

  async typeorm (path) {
    const { DataSource, EntitySchema } = await load<TypeOrm>('typeorm')
    const types = { id: { type: 'integer', primary: true }, a: { type: 'integer' }, b: { type: 'text' }, c: { type: 'real' } }
    const Item = new EntitySchema({ name: 'item', tableName: 'item', columns: types })
    const source = new DataSource({ type: 'better-sqlite3', database: path, entities: [Item] })
    await source.initialize()
    const repository = source.getRepository(Item)
    return [awaited('TypeORM', id => repository.findOneBy({ id }), () => source.destroy())]
  },

  async sqlite3 (path) {
    const child = new Child<{ row: unknown, ns: number }>('sqlite3-process.ts', { path, sql: pointSql })
    await child.next()
    const ask = async (asked: Asked): Promise<{ row: unknown, ns: number }> => {
      child.tell(asked)
      return await child.next()
    }
    return [{
      name: 'sqlite3, in its own process',
      get: async id => (await ask({ row: id })).row,
      time: async span => (await ask(span)).ns,
      close: () => child.process.kill()
    }]
  }
}

/** Those that run here, and the names of those that are not installed, or cannot be started. */
export async function readByLibraries (path: string): Promise<{ contenders: Contender[], missing: string[] }> {
  const contenders: Contender[] = []
  const missing: string[] = []
  for (const [name, open] of Object.entries(libraries)) {
    try {
      if (isInstalled(name)) contenders.push(...await open(path))
      else missing.push(name)
    } catch {
      missing.push(name) // installed without its binary
    }
  }
  return { contenders, missing }
}

// --- time ------------------------------------------------------------------------------------------------------------------------

function awaited (name: string, get: (id: number) => unknown, close: () => unknown = nothing): Contender {
  return { name, get, time: span => timeAwaited(get, span), close }
}

function timeSync (get: (id: number) => unknown, { reads, ids, first }: Span): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) get(spreadId(first + i, ids))
  return Number(process.hrtime.bigint() - start) / reads
}

async function timeAwaited (get: (id: number) => unknown, { reads, ids, first }: Span): Promise<number> {
  const start = process.hrtime.bigint()
  for (let i = 0; i < reads; i++) await get(spreadId(first + i, ids))
  return Number(process.hrtime.bigint() - start) / reads
}

/** Nanoseconds a read with so many waiting at a time. */
export async function timeMany ({ get }: Contender, atOnce: number, { reads, ids, first }: Span): Promise<number> {
  let i = 0
  const work = async (): Promise<void> => { while (i < reads) await get(spreadId(first + i++, ids)) }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: atOnce }, work))
  return Number(process.hrtime.bigint() - start) / reads
}
