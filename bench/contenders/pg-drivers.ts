/** The drivers of PostgreSQL: pg as a pool and pipelined, @fastify/postgres, and postgres.js. */
import fastifyPostgres from '@fastify/postgres'
import Fastify from 'fastify'
import pg from 'pg'
import { load } from '../packages.ts'
import { CONNECTIONS, operations, type Entrant } from './contender.ts'
import { NOTE, numbered, RANGE, sql } from './data.ts'

export const FASTIFY_POSTGRES = '@fastify/postgres'

type Text = keyof typeof sql

interface Query { query: (query: string | pg.QueryConfig, values?: unknown[]) => Promise<{ rows: unknown[] }> }

/** How a statement is sent: as a text that the server parses each time, or under a name. */
export type Ask = (to: Query, text: Text, ...values: unknown[]) => Promise<unknown[]>

export const asText: Ask = async (to, text, ...values) => (await to.query(texts[text], values)).rows
export const asNamed: Ask = async (to, text, ...values) => (await to.query({ name: text, text: texts[text], values })).rows

const texts = Object.fromEntries(Object.entries(sql).map(([name, text]) => [name, numbered(text)])) as Record<Text, string>

export async function transferBy (ask: Ask, client: Query, id: number): Promise<void> {
  const [row] = await ask(client, 'account', id) as Array<{ n: number }>
  await ask(client, 'add', id)
  await ask(client, 'entry', id, row?.n)
}

// --- pg --------------------------------------------------------------------------------------------------------------------------

const pool = (name: string, ask: Ask): Entrant => ({
  name,
  can: operations,
  async open (url) {
    const db = new pg.Pool({ connectionString: url, max: CONNECTIONS })
    return {
      point: async id => (await ask(db, 'point', id))[0],
      list: id => ask(db, 'list', id),
      insert: id => ask(db, 'insert', id, NOTE),
      transfer: async id => {
        const client = await db.connect()
        try {
          await client.query('BEGIN')
          await transferBy(ask, client, id)
          await client.query('COMMIT')
        } catch (error) {
          await client.query('ROLLBACK')
          throw error
        } finally {
          client.release()
        }
      },
      close: () => db.end()
    }
  }
})

export const poolText = pool('pg pool, text', asText)
export const poolNamed = pool('pg pool, named', asNamed)

/** One connection, so no transactions beside others. */
export const pipelined: Entrant = {
  name: 'pg pipelined × 1, named',
  can: ['point', 'list', 'insert'],
  async open (url) {
    const client = new pg.Client({ connectionString: url, pipeline: true })
    await client.connect()
    return {
      point: async id => (await asNamed(client, 'point', id))[0],
      list: id => asNamed(client, 'list', id),
      insert: id => asNamed(client, 'insert', id, NOTE),
      close: () => client.end()
    }
  }
}

// --- @fastify/postgres -----------------------------------------------------------------------------------------------------------

/** `query` is that of its pool; what it adds is `transact`. */
export const fastifyPostgresPlugin: Entrant = {
  name: FASTIFY_POSTGRES,
  can: operations,
  async open (url) {
    const app = Fastify()
    await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
    await app.ready()
    return {
      point: async id => (await asText(app.pg, 'point', id))[0],
      list: id => asText(app.pg, 'list', id),
      insert: id => asText(app.pg, 'insert', id, NOTE),
      transfer: id => app.pg.transact(async client => { await transferBy(asText, client, id) }),
      close: () => app.close()
    }
  }
}

// --- postgres.js -----------------------------------------------------------------------------------------------------------------

type Tag = (text: TemplateStringsArray, ...values: unknown[]) => Promise<unknown[]>
interface PostgresJs { default: (url: string, options: object) => Tag & { begin: (fn: (tag: Tag) => Promise<void>) => Promise<void>, end: () => Promise<void> } }

export const postgresJs: Entrant = {
  name: 'postgres.js',
  needs: ['postgres'],
  can: operations,
  async open (url) {
    const { default: open } = await load<PostgresJs>('postgres')
    const db = open(url, { max: CONNECTIONS })
    return {
      point: async id => (await db`SELECT id, a, b, c FROM item WHERE id = ${id}`)[0],
      list: id => db`SELECT id, a, b, c FROM item WHERE id >= ${id} ORDER BY id LIMIT ${RANGE}`,
      insert: id => db`INSERT INTO note (account, body) VALUES (${id}, ${NOTE})`,
      transfer: id => db.begin(async tag => {
        const [row] = await tag`SELECT id, n FROM account WHERE id = ${id}` as Array<{ n: number }>
        await tag`UPDATE account SET n = n + 1 WHERE id = ${id}`
        await tag`INSERT INTO entry (account, n) VALUES (${id}, ${row?.n})`
      }),
      close: () => db.end()
    }
  }
}
