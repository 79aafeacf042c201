/**
 * API tokens: who a request comes from, and what its user may see.
 *
 * What is kept true: a token is 32 random bytes, shown once, when it is made; the table holds its SHA-256 alone. One that has expired is not found. The day of its last
 * use is kept, and nothing finer. A database of cc-backend is never migrated, so it keeps no tokens.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Database, Row } from '../../plugins/db/types.ts'
import { JobsNoTokens } from './errors.ts'
import { isForeign } from './migrations/index.ts'
import { toNumber, toText } from './rows.ts'
import type { User } from './schema.ts'

type TokenDatabase = Pick<Database, 'engine' | 'prepare'>

/** What a user can be, from least to most. */
export const roles = ['api', 'user', 'manager', 'support', 'admin'] as const
export type Role = typeof roles[number]

export interface NewToken {
  readonly username: string
  readonly roles: readonly Role[]
  /** For a manager: whose jobs it may see as well. */
  readonly projects?: readonly string[]
  /** What it is for. Default: the user's name. */
  readonly name?: string
  /** Unix seconds. Default: never. */
  readonly expires?: number
}

export interface ApiToken {
  readonly id: number
  readonly name: string
  readonly user: User
  /** Unix seconds, as all times. */
  readonly created: number
  readonly expires: number | undefined
  /** A day, as 2026-03-01; undefined: never. */
  readonly lastUsed: string | undefined
}

/** Makes a token and answers with it; it cannot be had again. `now`: unix seconds. */
export async function createToken (db: TokenDatabase, { username, roles, projects = [], name = username, expires }: NewToken, now: number): Promise<{ id: number, token: string }> {
  const token = randomBytes(32).toString('base64url')
  const insert = db.prepare('INSERT INTO api_token (name, username, roles, projects, sha256, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id')
  const row = await insert.get(name, username, JSON.stringify(roles), JSON.stringify(projects), hash(token), now, expires ?? null)
  return { id: toNumber(row?.id), token }
}

export async function listTokens (db: TokenDatabase): Promise<ApiToken[]> {
  const rows = await db.prepare('SELECT id, name, username, roles, projects, created, expires, last_used FROM api_token ORDER BY id').all()
  return rows.map(toToken)
}

/** False if there is none with this id. */
export async function revokeToken (db: TokenDatabase, id: number): Promise<boolean> {
  const { changes } = await db.prepare('DELETE FROM api_token WHERE id = ?').run(id)
  return changes > 0
}

/** Undefined for one that is wrong, was revoked or has expired. Found by its hash, so that the time it takes says nothing about tokens that are nearly right. */
export async function findToken (db: TokenDatabase, token: string, now: number): Promise<ApiToken | undefined> {
  const sha256 = hash(token)
  const row = await db.prepare('SELECT id, name, username, roles, projects, sha256, created, expires, last_used FROM api_token WHERE sha256 = ?').get(sha256)
  if (row === undefined || !isSame(toText(row.sha256), sha256)) return undefined
  const found = toToken(row)
  return found.expires === undefined || now < found.expires ? found : undefined
}

/** True also if all there are have expired: an API that was closed once does not open by itself. */
export async function hasTokens (db: TokenDatabase): Promise<boolean> {
  return await db.prepare('SELECT 1 AS found FROM api_token LIMIT 1').get() !== undefined
}

export async function noteUse (db: TokenDatabase, id: number, day: string): Promise<void> {
  await db.prepare('UPDATE api_token SET last_used = ? WHERE id = ?').run(day, id)
}

/** Throws `TDM_ERR_JOBS_NO_TOKENS` for a database that cannot keep tokens. */
export async function requireTokens (db: TokenDatabase): Promise<void> {
  if (await isForeign(db)) throw new JobsNoTokens('it belongs to cc-backend, and is never changed. Import it (npm run jobs:import) to use tokens; until then only this machine is answered.')
}

function hash (token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function isSame (a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function toToken (row: Row): ApiToken {
  const username = toText(row.username)
  return {
    id: toNumber(row.id),
    name: toText(row.name),
    user: { username, roles: toTexts(row.roles), projects: toTexts(row.projects) },
    created: toNumber(row.created),
    expires: row.expires === null ? undefined : toNumber(row.expires),
    lastUsed: row.last_used === null ? undefined : toText(row.last_used)
  }
}

function toTexts (json: Row[string] | undefined): string[] {
  return JSON.parse(toText(json)) as string[]
}
