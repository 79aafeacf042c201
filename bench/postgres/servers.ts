/**
 * The PostgreSQL that is measured: started when it is first asked for, with its log on the disk or not, and gone with the benchmark.
 *
 * What is kept true: each database is fresh and has the tables of ../contenders/data.ts. The two servers differ in nothing but `fsync` and `synchronous_commit`.
 */
import pg from 'pg'
import { PostgresServer } from '../../test/helper/postgres-server.ts'
import { makeTables } from '../contenders/data.ts'

/** Whether COMMIT waits for the disk. */
export type Sync = 'on' | 'off'

const common = {
  max_connections: '400',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  full_page_writes: 'on',
  client_connection_check_interval: '0',
  autovacuum: 'off' // it would come in somebody's turn
}

export class Servers {
  readonly #rows: number
  readonly #started = new Map<Sync, Promise<PostgresServer>>()
  readonly #templates = new Map<string, Promise<string>>()
  #databases = 0

  /** `rows`: of the table that is read. */
  constructor (rows: number) {
    this.#rows = rows
  }

  get rows (): number {
    return this.#rows
  }

  /** The address of a new database with the tables. Those with as many rows are copies of one. */
  async database (sync: Sync = 'off', rows = this.#rows): Promise<string> {
    const { url } = await this.#server(sync)
    const key = `${sync}_${rows}`
    const template = this.#templates.get(key) ?? this.#makeTemplate(url, `template_${key}`, rows)
    this.#templates.set(key, template)
    const name = `bench_${++this.#databases}`
    await ask(url, `CREATE DATABASE ${name} TEMPLATE ${await template} STRATEGY file_copy`)
    return addressOf(url, name)
  }

  async #makeTemplate (url: string, name: string, rows: number): Promise<string> {
    await ask(url, `CREATE DATABASE ${name}`)
    await makeTables(addressOf(url, name), rows)
    return name
  }

  async version (): Promise<string> {
    const [row] = await ask((await this.#server('off')).url, 'SHOW server_version')
    return String(row?.server_version)
  }

  async stop (): Promise<void> {
    for (const starting of this.#started.values()) await (await starting).stop()
  }

  async #server (sync: Sync): Promise<PostgresServer> {
    const starting = this.#started.get(sync) ?? PostgresServer.start({ settings: { ...common, fsync: sync, synchronous_commit: sync } })
    this.#started.set(sync, starting)
    return await starting
  }
}

function addressOf (url: string, name: string): string {
  const address = new URL(url)
  address.pathname = `/${name}`
  return address.href
}

/** One statement over a connection of its own. */
export async function ask (url: string, sql: string, values: readonly unknown[] = []): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows
  } finally {
    await client.end()
  }
}
