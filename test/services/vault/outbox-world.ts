/** A database with a group in it, and a receiver of webhooks; no app, so that nothing is delivered but by the test. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Database, EngineName, Row } from '../../../plugins/db/types.ts'
import { appendActivity, eventTypes, type NewEvent } from '../../../services/activity/append.ts'
import type { WebhookKind } from '../../../services/activity/payload.ts'
import { createWebhook } from '../../../services/activity/webhooks.ts'
import type { OutboxCounts, OutboxContext } from '../../../services/activity/worker.ts'
import { runOutboxOnce } from '../../../services/activity/worker.ts'
import { Sealer } from '../../../services/common/sealing.ts'
import { newId } from '../../../services/common/ids.ts'
import { createGroup } from '../../../services/groups/create-group.ts'
import { lockGroup } from '../../../services/groups/lock.ts'
import { collectLog, openUrl } from '../../helper/db.ts'
import { migratedUrl } from '../../helper/migrated.ts'

export interface Received { readonly path: string, readonly headers: IncomingHttpHeaders, readonly body: string }
type Answer = (request: Received, reply: ServerResponse) => void

/** Real HTTP on this machine. Answers 200 if nothing else is said. */
export class Receiver {
  readonly received: Received[] = []
  /** How it answers. */
  answer: Answer = (_, reply) => { reply.end('{}') }
  /** Told of each request as it comes. */
  onRequest: (request: Received) => void = () => {}
  readonly #server = createServer((message, reply) => { void this.#take(message, reply) })

  async start (t: Test): Promise<this> {
    await new Promise<void>(resolve => { this.#server.listen(0, '127.0.0.1', resolve) })
    t.teardown(() => { this.#server.closeAllConnections(); this.#server.close() })
    return this
  }

  get url (): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** What has come, and forgets it. */
  take (): Received[] {
    return this.received.splice(0)
  }

  /** From now on it answers so. */
  answerWith (status: number, headers: Record<string, string> = {}, body = '{}'): void {
    this.answer = (_, reply) => { reply.writeHead(status, headers).end(body) }
  }

  async #take (message: IncomingMessage, reply: ServerResponse): Promise<void> {
    const request = { path: message.url ?? '', headers: message.headers, body: await text(message) }
    this.received.push(request)
    this.onRequest(request)
    this.answer(request, reply)
  }
}

const KEY = 'the key of the tests, which nobody else has'
export const sealer = new Sealer([KEY])

export async function startOutbox (t: Test, engine: EngineName): Promise<OutboxWorld> {
  const url = await migratedUrl(t, engine)
  const db = await openUrl(t, url)
  const userId = newId('user')
  await db.prepare('INSERT INTO users (id, display_name, theme, is_operator, created_at) VALUES (?, ?, ?, 0, ?)').run(userId, 'Ann', 'system', 0)
  const { groupId, memberId } = await createGroup(db, { name: 'Anns', ownerUserId: userId, ownerName: 'Ann' }, 0)
  await db.prepare(`UPDATE groups SET plan = 'premium' WHERE id = ?`).run(groupId)
  return new OutboxWorld({ url, db, groupId, memberId, userId, receiver: await new Receiver().start(t) })
}

interface Parts {
  readonly url: string
  readonly db: Database
  readonly groupId: string
  readonly memberId: string
  readonly userId: string
  readonly receiver: Receiver
}

export class OutboxWorld {
  readonly url: string
  readonly db: Database
  readonly groupId: string
  readonly memberId: string
  readonly userId: string
  readonly receiver: Receiver
  readonly clock = { now: Date.UTC(2026, 0, 1) }

  constructor ({ url, db, groupId, memberId, userId, receiver }: Parts) {
    this.url = url
    this.db = db
    this.groupId = groupId
    this.memberId = memberId
    this.userId = userId
    this.receiver = receiver
  }

  get context (): OutboxContext {
    return { sealer, log: collectLog(), now: () => this.clock.now, settings: { devTools: true } }
  }

  get actor (): { groupId: string, userId: string } {
    return { groupId: this.groupId, userId: this.userId }
  }

  /** Its id, and for a generic one its secret. Those of earlier tests are gone. */
  async webhook (kind: WebhookKind, { path = kind === 'discord' ? '/api/webhooks/1/token' : '/hook', alone = true } = {}): Promise<{ id: string, secret: string }> {
    if (alone) await this.db.exec('DELETE FROM webhooks; DELETE FROM outbox')
    const webhook = { kind, url: this.receiver.url + path, label: 'ours', events: eventTypes }
    const made = await createWebhook(this.db, { actor: this.actor, webhook, sealer, rules: { allowLoopback: true } }, this.clock.now)
    return { id: made.webhook.id, secret: made.secret ?? '' }
  }

  async happen (event: Partial<NewEvent> = {}): Promise<{ id: string, groupSeq: number } | undefined> {
    return await this.db.tx(async () => {
      await lockGroup(this.db, this.groupId, this.clock.now)
      return await appendActivity(this.db, { groupId: this.groupId, memberId: this.memberId, type: 'death', data: {}, ...event }, this.clock.now)
    })
  }

  async run (): Promise<OutboxCounts> {
    return await runOutboxOnce(this.db, this.context)
  }

  /** All rows of the outbox in the order of their events. */
  async outbox (): Promise<Row[]> {
    return await this.db.prepare('SELECT * FROM outbox ORDER BY group_seq, id').all()
  }

  async webhookRow (id: string): Promise<Row> {
    return await this.db.prepare('SELECT * FROM webhooks WHERE id = ?').get(id) ?? {}
  }
}
