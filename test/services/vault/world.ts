/**
 * The application with people, groups and plugins in it, for the tests of the group vault: on a fresh database, closed with the test, with a clock that the test moves.
 * People and members are put into the tables by hand, so that a test needs only the service that it is about.
 */
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Test } from 'tap'
import application from '../../../app.ts'
import type { Database, EngineName } from '../../../plugins/db/types.ts'
import { createSession } from '../../../services/auth/sessions.ts'
import { newId } from '../../../services/common/ids.ts'
import { normalizeName } from '../../../services/common/names.ts'
import { newToken, sha256, sign } from '../../../services/common/secrets.ts'
import { createGroup } from '../../../services/groups/create-group.ts'
import { migratedUrl } from '../../helper/migrated.ts'

export interface WorldOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: 1000, so that only tests of the limits meet them. */
  readonly rateLimitFactor?: number
  /** The demo group, if it listens. Default: false. */
  readonly hasDemo?: boolean
  /** A database that is there already, as for a second process. Default: a fresh one. */
  readonly url?: string
}

/** Somebody who is signed in. */
export interface Person {
  readonly userId: string
  readonly name: string
  /** For requests: the session, and what makes a change possible. */
  readonly headers: Readonly<Record<string, string>>
}

export interface MadeGroup { readonly groupId: string, readonly memberId: string, readonly joinCode: string }

/** The plugin of a member. */
export interface Plugin { readonly token: string, readonly tokenId: string, readonly memberId: string, readonly headers: Readonly<Record<string, string>> }

/** What `ask` answers: status, headers, and the body as JSON if it is. */
export interface Answer<T> { readonly status: number, readonly headers: Readonly<Record<string, unknown>>, readonly body: T, readonly text: string }

/** Whatever JSON holds. A test that needs more than to compare it names the form: `ask<{ id: string }>(…)`. */
export interface Json { readonly [name: string]: Json }

export async function startWorld (t: Test, engine: EngineName, { env = {}, rateLimitFactor = 1000, hasDemo = false, url }: WorldOptions = {}): Promise<World> {
  const address = url ?? await migratedUrl(t, engine)
  const clock = { now: Date.now() }
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(fastifyPlugin(application), { env: { DATABASE_URL: address, ...env }, vault: { now: () => clock.now, rateLimitFactor, hasDemo } })
  await app.ready()
  return new World(app, address, clock)
}

export class World {
  readonly app: FastifyInstance
  readonly url: string
  /** Milliseconds since 1970; a test may set it. */
  readonly clock: { now: number }

  constructor (app: FastifyInstance, url: string, clock: { now: number }) {
    this.app = app
    this.url = url
    this.clock = clock
  }

  get db (): Database {
    return this.app.db
  }

  /** `path`: behind /api/v1, or whole if it begins with `//`. */
  async ask<T = Json> (method: InjectOptions['method'], path: string, { by, body, headers }: { by?: Person | Plugin, body?: object | string, headers?: Record<string, string> } = {}): Promise<Answer<T>> {
    const url = path.startsWith('//') ? path.slice(1) : `/api/v1${path}`
    const answer = await this.app.inject({ method: method ?? 'GET', url, headers: { ...by?.headers, ...headers }, ...(body !== undefined && { payload: body }) })
    const isJson = String(answer.headers['content-type']).startsWith('application/json') && answer.body !== ''
    return { status: answer.statusCode, headers: answer.headers, body: (isJson ? answer.json() : undefined) as T, text: answer.body }
  }

  /** Somebody new, signed in. */
  async person (name: string, { isOperator = false } = {}): Promise<Person> {
    const userId = newId('user')
    await this.db.prepare('INSERT INTO users (id, display_name, theme, is_operator, created_at) VALUES (?, ?, ?, ?, ?)').run(userId, name, 'system', isOperator, this.clock.now)
    await this.db.prepare('INSERT INTO identities (provider, subject, user_id, email_verified, created_at, last_login_at) VALUES (?, ?, ?, 0, ?, ?)')
      .run('mock', `test-${userId}`, userId, this.clock.now, this.clock.now)
    const { id } = await createSession(this.db, { userId, userAgent: 'test' }, this.clock.now)
    return { userId, name, headers: { cookie: `vault_sid=${id}`, 'x-csrf-token': sign(id, 'csrf'), origin: 'http://localhost:80' } }
  }

  async group (owner: Person, name = `${owner.name}s`): Promise<MadeGroup> {
    return await createGroup(this.db, { name, ownerUserId: owner.userId, ownerName: owner.name }, this.clock.now)
  }

  /** Answers the id of the member. */
  async join ({ userId, name }: Person, { groupId }: Pick<MadeGroup, 'groupId'>, { role = 'member', characterName }: { role?: 'admin' | 'member', characterName?: string } = {}): Promise<string> {
    const memberId = newId('member')
    await this.db.tx(async () => {
      await this.db.prepare('UPDATE groups SET member_count = member_count + 1 WHERE id = ?').run(groupId)
      await this.db.prepare(`INSERT INTO members (id, group_id, user_id, kind, role, display_name, character_name, character_norm, color, sync_epoch, joined_at) VALUES (?, ?, ?, 'player', ?, ?, ?, ?, 1, 0, ?)`)
        .run(memberId, groupId, userId, role, name, characterName ?? null, characterName === undefined ? null : normalizeName(characterName), this.clock.now)
    })
    return memberId
  }

  /** A plugin that was paired for a member. */
  async plugin ({ userId }: Person, { groupId, memberId }: Pick<MadeGroup, 'groupId' | 'memberId'>): Promise<Plugin> {
    const token = newToken('gv')
    const tokenId = newId('token')
    await this.db.prepare('INSERT INTO plugin_tokens (id, token_hash, prefix, user_id, group_id, member_id, label, plugin_version, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(tokenId, sha256(token), token.slice(0, 9), userId, groupId, memberId, 'laptop', '1.0.0', this.clock.now)
    return { token, tokenId, memberId, headers: { authorization: `Bearer ${token}` } }
  }

  /** The shared storage of a group. */
  async sharedMember ({ groupId }: Pick<MadeGroup, 'groupId'>): Promise<string> {
    const row = await this.db.prepare(`SELECT id FROM members WHERE group_id = ? AND kind = 'shared'`).get(groupId)
    return String(row?.id)
  }
}
