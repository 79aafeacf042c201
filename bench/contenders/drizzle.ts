/** Drizzle, with better-sqlite3 (synchronous, its transactions as well) or with pg; and its prepared statements. */
import type Sqlite from 'better-sqlite3'
import pg from 'pg'
import type { EngineName } from '../../plugins/db/types.ts'
import { load } from '../packages.ts'
import { openRaw } from '../sqlite/raw.ts'
import { CONNECTIONS, operations, type Contender, type Entrant } from './contender.ts'
import { NOTE, RANGE } from './data.ts'

/** What of it is used here. The way of SQLite has `get`, `all` and `run`, which answer at once; that of PostgreSQL is awaited. */
interface Prepared { get: (values: object) => unknown, all: (values: object) => unknown, execute: (values: object) => Promise<unknown[]> }
interface Rows extends Promise<unknown[]> { get: () => unknown, all: () => unknown, prepare: (name?: string) => Prepared, orderBy: (column: unknown) => { limit: (rows: number) => Rows } }
interface Change extends Promise<unknown> { run: () => unknown }
interface Query {
  select: () => { from: (table: object) => { where: (condition: unknown) => Rows } }
  update: (table: object) => { set: (change: object) => { where: (condition: unknown) => Change } }
  insert: (table: object) => { values: (row: object) => Change }
}
interface Drizzle extends Query {
  transaction: {
    (fn: (tx: Query) => Promise<void>): Promise<void>
    (fn: (tx: Query) => void, options: { behavior: 'immediate' }): void
  }
}
type Table = Record<string, unknown>
type Column = (name: string) => { primaryKey: () => unknown }
interface Core { integer: Column, text: Column, real: Column, doublePrecision: Column, sqliteTable: (name: string, columns: object) => Table, pgTable: (name: string, columns: object) => Table }
interface Operators { eq: (column: unknown, value: unknown) => unknown, gte: (column: unknown, value: unknown) => unknown, sql: ((text: TemplateStringsArray, ...values: unknown[]) => unknown) & { placeholder: (name: string) => unknown } }

interface Opened extends Operators { db: Drizzle, item: Table, account: Table, entry: Table, note: Table, close: () => unknown }

export const drizzle = (engine: EngineName): Entrant => ({
  name: 'Drizzle', needs: ['drizzle-orm'], can: operations, open: engine === 'sqlite' ? openSqlite : openPostgres
})

export const drizzlePrepared = (engine: EngineName): Entrant => ({
  name: 'Drizzle, prepared',
  needs: ['drizzle-orm'],
  can: ['point', 'list'],
  async open (target) {
    const { db, eq, gte, sql, item, close } = await openDrizzle(engine, target)
    const point = db.select().from(item).where(eq(item.id, sql.placeholder('id'))).prepare('point')
    const list = db.select().from(item).where(gte(item.id, sql.placeholder('id'))).orderBy(item.id).limit(RANGE).prepare('list')
    return engine === 'sqlite'
      ? { point: id => point.get({ id }), list: id => list.all({ id }), close }
      : { point: async id => (await point.execute({ id }))[0], list: id => list.execute({ id }), close }
  }
})

async function openSqlite (target: string): Promise<Contender> {
  const { db, eq, gte, sql, item, account, entry, note, close } = await openDrizzle('sqlite', target)
  return {
    point: id => db.select().from(item).where(eq(item.id, id)).get(),
    list: id => db.select().from(item).where(gte(item.id, id)).orderBy(item.id).limit(RANGE).all(),
    insert: id => db.insert(note).values({ account: id, body: NOTE }).run(),
    transfer: id => {
      db.transaction(tx => {
        const row = tx.select().from(account).where(eq(account.id, id)).get() as { n: number }
        tx.update(account).set({ n: sql`${account.n} + 1` }).where(eq(account.id, id)).run()
        tx.insert(entry).values({ account: id, n: row.n }).run()
      }, { behavior: 'immediate' })
    },
    close
  }
}

async function openPostgres (target: string): Promise<Contender> {
  const { db, eq, gte, sql, item, account, entry, note, close } = await openDrizzle('postgres', target)
  return {
    point: async id => (await db.select().from(item).where(eq(item.id, id)))[0],
    list: id => db.select().from(item).where(gte(item.id, id)).orderBy(item.id).limit(RANGE),
    insert: id => db.insert(note).values({ account: id, body: NOTE }),
    transfer: id => db.transaction(async tx => {
      const [row] = await tx.select().from(account).where(eq(account.id, id)) as Array<{ n: number }>
      await tx.update(account).set({ n: sql`${account.n} + 1` }).where(eq(account.id, id))
      await tx.insert(entry).values({ account: id, n: row?.n })
    }),
    close
  }
}

async function openDrizzle (engine: EngineName, target: string): Promise<Opened> {
  const isSqlite = engine === 'sqlite'
  const { drizzle: open } = await load<{ drizzle: (options: { client: Sqlite.Database | pg.Pool }) => Drizzle }>(isSqlite ? 'drizzle-orm/better-sqlite3' : 'drizzle-orm/node-postgres')
  const { integer, text, real, doublePrecision, sqliteTable, pgTable } = await load<Core>(isSqlite ? 'drizzle-orm/sqlite-core' : 'drizzle-orm/pg-core')
  const operators = await load<Operators>('drizzle-orm')
  const [table, number] = isSqlite ? [sqliteTable, real] : [pgTable, doublePrecision]
  const client = isSqlite ? openRaw(target) : new pg.Pool({ connectionString: target, max: CONNECTIONS })
  return {
    db: open({ client }),
    eq: operators.eq,
    gte: operators.gte,
    sql: operators.sql,
    item: table('item', { id: integer('id').primaryKey(), a: integer('a'), b: text('b'), c: number('c') }),
    account: table('account', { id: integer('id').primaryKey(), n: integer('n') }),
    entry: table('entry', { account: integer('account'), n: integer('n') }),
    note: table('note', { account: integer('account'), body: text('body') }),
    close: () => client instanceof pg.Pool ? client.end() : client.close()
  }
}
