/** The PostgreSQL of a test run: a fresh database there for each test. And one statement on any of them, by plain pg. */
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import { stateFile } from './paths.ts'

/** Cheaper than by way of the WAL, for a server without fsync. Not known to PostgreSQL 14, which a TEST_DATABASE_URL may lead to. */
export const COPY_FILES = process.env.TEST_DATABASE_URL === undefined ? 'STRATEGY file_copy' : ''

let n = 0
/** A fresh database on the PostgreSQL of this run: empty, or a copy of `template`. Undefined when there is none (TEST_POSTGRES=off). */
export async function freshDatabase (t: Test, template = 'template0'): Promise<string | undefined> {
  const admin = adminUrl()
  if (admin === undefined) return undefined
  const name = `t_${process.pid}_${++n}`
  await ask(admin, `CREATE DATABASE ${name} TEMPLATE ${template} ${COPY_FILES}`)
  // Without `with (force)`: pool.end() resolves before the server has seen the end of its connections, and forcing then
  // raises "terminating connection due to administrator command" in the test. It also finds pools that were never closed.
  t.teardown(async () => {
    for (let i = 0; ; i++) {
      try { await ask(admin, `drop database if exists ${name}`); return } catch (err) {
        if ((err as { code?: string }).code !== '55006') throw err
        if (i === 200) throw new Error(`connections to ${name} were left open`)
        await sleep(50)
      }
    }
  })
  return databaseUrl(admin, name)
}

/** Where databases are made: the PostgreSQL of this run. Undefined when there is none. */
export function adminUrl (): string | undefined {
  return process.env.TEST_DATABASE_URL ?? (existsSync(stateFile) ? (JSON.parse(readFileSync(stateFile, 'utf8')) as { url: string }).url : undefined)
}

/** Another database on the same server. */
export function databaseUrl (admin: string, name: string): string {
  const url = new URL(admin)
  url.pathname = `/${name}`
  return url.href
}

/** The rows of one statement, on a connection of its own. */
export async function ask<R extends pg.QueryResultRow> (url: string, sql: string, values: unknown[] = []): Promise<R[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'ask' })
  client.on('error', () => {}) // the query is told
  await client.connect()
  try {
    return (await client.query<R>(sql, values)).rows
  } finally {
    await client.end()
  }
}
