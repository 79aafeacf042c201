/** The libraries of bench/package.json as contenders over HTTP, each as its documents show it. */
import pg from 'pg'
import { load } from '../packages.ts'
import { CONNECTIONS } from './clients.ts'
import type { HttpContender } from './http-contender.ts'
import { openPrisma } from './prisma.ts'

const poolOf = (url: string): pg.Pool => new pg.Pool({ connectionString: url, max: CONNECTIONS })

const columns = ['id', 'a', 'b', 'c']

interface Account { id: number, n: number }

// --- what of them is used here; they are not there for everybody, so neither are their types ---------------------------------------

interface KyselyQuery {
  selectFrom: (table: string) => { select: (columns: string[]) => { where: (column: string, is: '=', value: unknown) => { executeTakeFirst: () => Promise<unknown> } } }
  updateTable: (table: string) => { set: (change: (by: (column: string, operator: '+', value: number) => unknown) => object) => { where: (column: string, is: '=', value: unknown) => { execute: () => Promise<unknown> } } }
  insertInto: (table: string) => { values: (row: object) => { execute: () => Promise<unknown> } }
}
interface Kysely {
  Kysely: new (options: { dialect: unknown }) => KyselyQuery & { transaction: () => { execute: (fn: (trx: KyselyQuery) => Promise<void>) => Promise<void> } }
  PostgresDialect: new (options: { pool: pg.Pool }) => unknown
}

interface KnexTable {
  where: (column: string, value: unknown) => { first: (...columns: string[]) => Promise<unknown>, increment: (column: string, by: number) => Promise<unknown> }
  insert: (row: object) => Promise<unknown>
}
type KnexQuery = (table: string) => KnexTable
interface Knex { default: (options: object) => KnexQuery & { transaction: (fn: (trx: KnexQuery) => Promise<void>) => Promise<void> } }

interface DrizzleRows extends Promise<unknown[]> { prepare: (name: string) => { execute: (values: object) => Promise<unknown[]> } }
interface DrizzleQuery {
  select: () => { from: (table: object) => { where: (condition: unknown) => DrizzleRows } }
  update: (table: object) => { set: (change: object) => { where: (condition: unknown) => Promise<unknown> } }
  insert: (table: object) => { values: (row: object) => Promise<unknown> }
}
interface Drizzle { drizzle: (options: { client: pg.Pool }) => DrizzleQuery & { transaction: (fn: (tx: DrizzleQuery) => Promise<void>) => Promise<void> } }
type DrizzleColumn = (name: string) => { primaryKey: () => unknown }
interface DrizzleCore { pgTable: (name: string, columns: object) => Record<string, unknown>, integer: DrizzleColumn, text: DrizzleColumn, doublePrecision: DrizzleColumn }
interface DrizzleSql { eq: (column: unknown, value: unknown) => unknown, sql: ((text: TemplateStringsArray, ...values: unknown[]) => unknown) & { placeholder: (name: string) => unknown } }

type PostgresJsQuery = (text: TemplateStringsArray, ...values: unknown[]) => Promise<unknown[]>
interface PostgresJs { default: (url: string, options: object) => PostgresJsQuery & { begin: (fn: (sql: PostgresJsQuery) => Promise<void>) => Promise<void> } }

type SqlTag = (text: TemplateStringsArray, ...values: unknown[]) => unknown
interface MapperTransaction { query: (query: unknown) => Promise<unknown> }
interface MapperEntity {
  find: (options: object) => Promise<unknown[]>
  insert: (options: object) => Promise<unknown>
}
interface Mapper {
  connect: (options: object) => Promise<{
    db: { tx: (fn: (tx: MapperTransaction) => Promise<void>) => Promise<void> }
    sql: SqlTag
    entities: Record<'item' | 'account' | 'entry', MapperEntity>
  }>
}

// --- the contenders ----------------------------------------------------------------------------------------------------------------

const both = { reads: true, moves: true }

export const libraries: Readonly<Record<string, HttpContender>> = {
  Kysely: {
    ...both,
    needs: ['kysely'],
    async open (_, url) {
      const { Kysely, PostgresDialect } = await load<Kysely>('kysely')
      const db = new Kysely({ dialect: new PostgresDialect({ pool: poolOf(url) }) })
      return {
        read: id => db.selectFrom('item').select(columns).where('id', '=', id).executeTakeFirst(),
        move: id => db.transaction().execute(async trx => {
          const row = await trx.selectFrom('account').select(['id', 'n']).where('id', '=', id).executeTakeFirst() as Account
          await trx.updateTable('account').set(by => ({ n: by('n', '+', 1) })).where('id', '=', id).execute()
          await trx.insertInto('entry').values({ account: id, n: row.n }).execute()
        })
      }
    }
  },

  Knex: {
    ...both,
    needs: ['knex'],
    async open (_, url) {
      const { default: open } = await load<Knex>('knex')
      const db = open({ client: 'pg', connection: url, pool: { min: 0, max: CONNECTIONS } })
      return {
        read: id => db('item').where('id', id).first(...columns),
        move: id => db.transaction(async trx => {
          const row = await trx('account').where('id', id).first('id', 'n') as Account
          await trx('account').where('id', id).increment('n', 1)
          await trx('entry').insert({ account: id, n: row.n })
        })
      }
    }
  },

  Drizzle: {
    ...both,
    needs: ['drizzle-orm'],
    async open (_, url) {
      const { db, eq, sql, item, account, entry } = await openDrizzle(url)
      return {
        read: async id => (await db.select().from(item).where(eq(item.id, id)))[0],
        move: id => db.transaction(async tx => {
          const [row] = await tx.select().from(account).where(eq(account.id, id)) as Account[]
          await tx.update(account).set({ n: sql`${account.n} + 1` }).where(eq(account.id, id))
          await tx.insert(entry).values({ account: id, n: row?.n })
        })
      }
    }
  },

  'Drizzle, prepared': {
    reads: true,
    moves: false,
    needs: ['drizzle-orm'],
    async open (_, url) {
      const { db, eq, sql, item } = await openDrizzle(url)
      const prepared = db.select().from(item).where(eq(item.id, sql.placeholder('id'))).prepare('item_by_id')
      return { read: async id => (await prepared.execute({ id }))[0] }
    }
  },

  'postgres.js': {
    ...both,
    needs: ['postgres'],
    async open (_, url) {
      const { default: open } = await load<PostgresJs>('postgres')
      const db = open(url, { max: CONNECTIONS })
      return {
        read: async id => (await db`SELECT id, a, b, c FROM item WHERE id = ${id}`)[0],
        move: id => db.begin(async sql => {
          const [row] = await sql`SELECT id, n FROM account WHERE id = ${id}` as Account[]
          await sql`UPDATE account SET n = n + 1 WHERE id = ${id}`
          await sql`INSERT INTO entry (account, n) VALUES (${id}, ${row?.n})`
        })
      }
    }
  },

  'Prisma 7': { ...both, needs: ['prisma', '@prisma/client', '@prisma/adapter-pg'], open: async (_, url) => await openPrisma(url) },

  'Platformatic sql-mapper': {
    ...both,
    needs: ['@platformatic/sql-mapper'],
    async open (_, url) {
      const { connect } = await load<Mapper>('@platformatic/sql-mapper')
      const { db, sql: tag, entities: { item, account, entry } } = await connect({ connectionString: url, poolSize: CONNECTIONS, log: silent })
      return {
        read: async id => {
          const [row] = await item.find({ where: { id: { eq: id } }, fields: columns, limit: 1 }) as Array<{ id: string }>
          return row === undefined ? row : { ...row, id: Number(row.id) } // it gives primary keys as text
        },
        move: id => db.tx(async tx => {
          const [row] = await account.find({ where: { id: { eq: id } }, limit: 1, tx }) as Account[]
          await tx.query(tag`UPDATE account SET n = n + 1 WHERE id = ${id}`) // save() would write what was read, and lose what others have added
          await entry.insert({ inputs: [{ account: id, n: row?.n }], tx })
        })
      }
    }
  }
}

async function openDrizzle (url: string): Promise<{ db: ReturnType<Drizzle['drizzle']>, item: Record<string, unknown>, account: Record<string, unknown>, entry: Record<string, unknown> } & DrizzleSql> {
  const { drizzle } = await load<Drizzle>('drizzle-orm/node-postgres')
  const { pgTable, integer, text, doublePrecision } = await load<DrizzleCore>('drizzle-orm/pg-core')
  const { eq, sql: tag } = await load<DrizzleSql>('drizzle-orm')
  return {
    db: drizzle({ client: poolOf(url) }),
    eq,
    sql: tag,
    item: pgTable('item', { id: integer('id').primaryKey(), a: integer('a'), b: text('b'), c: doublePrecision('c') }),
    account: pgTable('account', { id: integer('id').primaryKey(), n: integer('n') }),
    entry: pgTable('entry', { account: integer('account'), n: integer('n') })
  }
}

const nothing = (): void => {}
const silent = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }
