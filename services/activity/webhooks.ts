/**
 * The webhooks of a group. Stores: no Fastify.
 *
 * What is kept true: URL and secrets are sealed, and lists show neither; a group has as many as its plan allows; what a webhook was to deliver is cancelled with it, in one
 * commit. Who asks is an admin, also when the lock of the group was waited for.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { planOf } from '../billing/plans.ts'
import { toFlag, toNumber, toText, toTextOrNull, toTime } from '../common/columns.ts'
import { BadRequest, FeatureNotInPlan, Forbidden, NotFound } from '../common/errors.ts'
import { newId } from '../common/ids.ts'
import type { Sealer } from '../common/sealing.ts'
import { lockGroup } from '../groups/lock.ts'
import { findMembership } from '../groups/lookups.ts'
import { findFeatures } from '../ops/features.ts'
import { appendTest, type EventType } from './append.ts'
import { cancelDeliveries } from './claims.ts'
import { UrlNotAllowed, WebhookDisabled, WebhookLimit } from './errors.ts'
import type { WebhookKind } from './payload.ts'
import { disableWebhook } from './results.ts'
import { newSigningSecret } from './signing.ts'
import { findUrlProblem, hintOf, type TargetRules } from './targets.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** As it is shown. */
export interface Webhook {
  readonly id: string
  readonly kind: WebhookKind
  readonly label: string
  readonly url: string
  readonly events: EventType[]
  readonly enabled: boolean
  readonly disabledReason: string | null
  readonly failures: number
  readonly pausedUntil: string | null
  readonly createdAt: string
  readonly updatedAt: string
}

/** Who changes which group. */
export interface Actor { readonly groupId: string, readonly userId: string }

export interface NewWebhook {
  readonly kind: WebhookKind
  readonly url: string
  readonly label: string
  readonly events: readonly EventType[]
}

export interface WebhookChange {
  readonly label?: string
  readonly events?: readonly EventType[]
  readonly enabled?: boolean
  readonly rotateSecret?: boolean
}

/** So long an old secret signs beside the new one. */
const SECRETS_OVERLAP_MS = 86_400_000

const insert = `
  INSERT INTO webhooks (id, group_id, kind, label, url_enc, url_hint, secret_enc, events, enabled, failures, paused_until, created_by, created_at, updated_at)
  VALUES (:id, :group, :kind, :label, :url, :hint, :secret, :events, 1, 0, 0, :user, :now, :now) RETURNING *`

/** `secret`: this once, and for a generic one only. Throws `URL_NOT_ALLOWED`, `FEATURE_NOT_IN_PLAN`, `WEBHOOK_LIMIT`. */
export async function createWebhook (db: Db, { actor, webhook, sealer, rules }: { actor: Actor, webhook: NewWebhook, sealer: Sealer, rules: TargetRules }, now: number): Promise<{ webhook: Webhook, secret: string | null }> {
  const { kind, url, label, events } = webhook
  const problem = findUrlProblem(url, kind, rules)
  if (problem !== undefined) throw new UrlNotAllowed(problem)
  const secret = kind === 'generic' ? newSigningSecret() : null
  return await db.tx(async () => {
    const { plan } = await lockAsAdmin(db, actor, now)
    await checkLimit(db, { groupId: actor.groupId, plan })
    const id = newId('webhook')
    const row = await db.prepare(insert).get({
      id, group: actor.groupId, kind, label, url: sealer.seal(url, id), hint: hintOf(url), secret: secret === null ? null : sealer.seal(secret, id), events: JSON.stringify(unique(events)), user: actor.userId, now
    })
    return { webhook: toWebhook(row ?? {}, now), secret }
  })
}

async function checkLimit (db: Db, { groupId, plan }: { groupId: string, plan: string }): Promise<void> {
  const features = await findFeatures(db, { groupId, plan })
  if (features.webhooks !== true) throw new FeatureNotInPlan('webhooks')
  const most = planOf(plan).limits.webhooks
  const row = await db.prepare('SELECT COUNT(*) AS count FROM webhooks WHERE group_id = ?').get(groupId)
  if (toNumber(row?.count) >= most) throw new WebhookLimit(most)
}

export async function listWebhooks (db: Pick<Database, 'prepare'>, groupId: string, now: number): Promise<Webhook[]> {
  return (await db.prepare('SELECT * FROM webhooks WHERE group_id = ? ORDER BY created_at, id').all(groupId)).map(row => toWebhook(row, now))
}

/** Enabling it forgets its failures; disabling it cancels what it was to deliver. `secret`: the new one. Throws `NOT_FOUND`, `BAD_REQUEST`. */
export async function updateWebhook (db: Db, { actor, webhookId, change, sealer }: { actor: Actor, webhookId: string, change: WebhookChange, sealer: Sealer }, now: number): Promise<{ webhook: Webhook, secret: string | null }> {
  return await db.tx(async () => {
    await lockAsAdmin(db, actor, now)
    const { groupId } = actor
    const row = await lockWebhook(db, { groupId, webhookId })
    const secret = change.rotateSecret === true ? await rotateSecret(db, row, sealer, now) : null
    const events = change.events === undefined ? toText(row.events) : JSON.stringify(unique(change.events))
    await db.prepare('UPDATE webhooks SET label = ?, events = ?, updated_at = ? WHERE id = ?').run(change.label ?? toText(row.label), events, now, webhookId)
    if (change.enabled === true) await db.prepare('UPDATE webhooks SET enabled = 1, disabled_reason = NULL, failures = 0, paused_until = 0 WHERE id = ?').run(webhookId)
    if (change.enabled === false) await disableWebhook(db, { groupId, webhookId, reason: null }, now)
    return { webhook: toWebhook(await lockWebhook(db, { groupId, webhookId }), now), secret }
  })
}

async function rotateSecret (db: Db, row: Row, sealer: Sealer, now: number): Promise<string> {
  if (row.secret_enc === null) throw new BadRequest('a webhook of Discord has no secret')
  const [id, secret] = [toText(row.id), newSigningSecret()]
  await db.prepare('UPDATE webhooks SET prev_secret_enc = secret_enc, prev_secret_until = ?, secret_enc = ? WHERE id = ?').run(now + SECRETS_OVERLAP_MS, sealer.seal(secret, id), id)
  return secret
}

/** Throws `NOT_FOUND`. */
export async function deleteWebhook (db: Db, { actor, webhookId }: { actor: Actor, webhookId: string }, now: number): Promise<void> {
  await db.tx(async () => {
    await lockAsAdmin(db, actor, now)
    const { changes } = await db.prepare('DELETE FROM webhooks WHERE id = ? AND group_id = ?').run(webhookId, actor.groupId)
    if (changes === 0) throw new NotFound('webhook')
    await cancelDeliveries(db, { webhookId }, now)
  })
}

/** Answers the id of the delivery. Throws `NOT_FOUND`, `WEBHOOK_DISABLED`. */
export async function testWebhook (db: Db, { actor, webhookId }: { actor: Actor, webhookId: string }, now: number): Promise<string> {
  return await db.tx(async () => {
    await lockAsAdmin(db, actor, now)
    const row = await lockWebhook(db, { groupId: actor.groupId, webhookId })
    if (!toFlag(row.enabled)) throw new WebhookDisabled()
    return await appendTest(db, { groupId: actor.groupId, webhook: { id: webhookId, kind: toText(row.kind) as WebhookKind, label: toText(row.label) } }, now)
  })
}

/** What a delivery needs; its secrets are in here, so it is never shown. */
export interface Target {
  readonly kind: WebhookKind
  readonly url: string
  readonly secrets: readonly string[]
}

export interface SealedTarget extends Target {
  readonly id: string
  readonly previous: { readonly secret: string, readonly until: number } | null
}

export async function findTarget (db: Pick<Database, 'prepare'>, webhookId: string): Promise<SealedTarget | undefined> {
  const row = await db.prepare('SELECT kind, url_enc, secret_enc, prev_secret_enc, prev_secret_until FROM webhooks WHERE id = ?').get(webhookId)
  return row && {
    id: webhookId,
    kind: toText(row.kind) as WebhookKind,
    url: toText(row.url_enc),
    secrets: row.secret_enc === null ? [] : [toText(row.secret_enc)],
    previous: row.prev_secret_enc === null ? null : { secret: toText(row.prev_secret_enc), until: toNumber(row.prev_secret_until) }
  }
}

/** Throws if the key is gone. */
export function openTarget (sealer: Sealer, { id, kind, url, secrets, previous }: SealedTarget, now: number): Target {
  const all = previous !== null && previous.until > now ? [...secrets, previous.secret] : secrets
  return { kind, url: sealer.open(url, id), secrets: all.map(secret => sealer.open(secret, id)) }
}

async function lockAsAdmin (db: Db, { groupId, userId }: Actor, now: number): Promise<{ plan: string }> {
  const group = await lockGroup(db, groupId, now)
  const membership = await findMembership(db, groupId, userId)
  if (membership === undefined) throw new NotFound('group')
  if (membership.role === 'member') throw new Forbidden('the role owner or admin in this group')
  return { plan: toText(group.plan) }
}

/** Its row, which nobody changes until the transaction ends. */
async function lockWebhook (db: Db, { groupId, webhookId }: { groupId: string, webhookId: string }): Promise<Row> {
  const row = await db.prepare('UPDATE webhooks SET failures = failures WHERE id = ? AND group_id = ? RETURNING *').get(webhookId, groupId)
  if (row === undefined) throw new NotFound('webhook')
  return row
}

function toWebhook (row: Row, now: number): Webhook {
  return {
    id: toText(row.id),
    kind: toText(row.kind) as WebhookKind,
    label: toText(row.label),
    url: toText(row.url_hint),
    events: JSON.parse(toText(row.events)) as EventType[],
    enabled: toFlag(row.enabled),
    disabledReason: toTextOrNull(row.disabled_reason),
    failures: toNumber(row.failures),
    pausedUntil: toNumber(row.paused_until) > now ? toTime(row.paused_until) : null,
    createdAt: toTime(row.created_at),
    updatedAt: toTime(row.updated_at)
  }
}

function unique<T> (list: readonly T[]): T[] {
  return [...new Set(list)]
}
