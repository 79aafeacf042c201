/**
 * What one claim has of one webhook: sent, and what came of it recorded. No network call is made inside a transaction.
 */
import type { Database } from '../../plugins/db/types.ts'
import type { Sealer } from '../common/sealing.ts'
import { toOutcome } from './answers.ts'
import { releaseClaim, type ClaimedDelivery } from './claims.ts'
import { countFitting, toMessage, type Embed } from './discord-text.ts'
import { addCounts, nothing, type OutboxCounts, type Outcome } from './outcome.ts'
import { recordDeliveryResult } from './results.ts'
import { send, SendFailure, type Message, type SendOptions } from './send.ts'
import { signatureHeaders } from './signing.ts'
import { findTarget, openTarget, type SealedTarget, type Target } from './webhooks.ts'

export interface DeliveryContext {
  readonly db: Database
  readonly sealer: Sealer
  readonly now: () => number
  readonly sending: SendOptions
}

/** A claim of it. */
export interface Claim {
  readonly owner: string
  /** Of one webhook, in order. */
  readonly deliveries: readonly ClaimedDelivery[]
}

/** What is not sent, because the receiver wants no more for now or the signal of `context.sending` says so, is due again. */
export async function deliver (context: DeliveryContext, { owner, deliveries }: Claim): Promise<OutboxCounts> {
  const [first] = deliveries
  const { db } = context
  const sealed = first && await db.tx(async () => await findTarget(db, first.webhookId)) // a replica may not have it yet
  if (sealed === undefined) return nothing // deleted meanwhile, and these were cancelled
  const target = open(context, sealed)
  if (target === undefined) return await giveUp(context, { owner, deliveries })
  const rest = inMessages(target, deliveries)
  let counts = nothing
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    const step = await deliverTogether(context, target, { owner, deliveries: next })
    if (step.retry !== undefined) rest.unshift(...step.retry)
    counts = addCounts(counts, step.counts)
    if (step.isEnd) break
  }
  if (rest.length > 0) await releaseClaim(db, { owner, deliveries: rest.flat() })
  return counts
}

/** Undefined: the key that it was sealed with is gone. */
function open ({ sealer, now }: DeliveryContext, sealed: SealedTarget): Target | undefined {
  try {
    return openTarget(sealer, sealed, now())
  } catch {
    return undefined
  }
}

/** Without an attempt; for the reason that its group can read. */
async function giveUp ({ db, now }: DeliveryContext, claim: Claim): Promise<OutboxCounts> {
  const outcome = { kind: 'failed', error: 'the key that its URL was sealed with is gone: make the webhook anew' } as const
  return await recordDeliveryResult(db, { ...claim, outcome, startedAt: now(), durationMs: 0 }, now())
}

/** Discord: as many as one message holds. Others: each by itself. */
function inMessages ({ kind }: Target, deliveries: readonly ClaimedDelivery[]): ClaimedDelivery[][] {
  const rest = [...deliveries]
  const messages: ClaimedDelivery[][] = []
  while (rest.length > 0) messages.push(rest.splice(0, kind === 'discord' ? countFitting(rest.map(toEmbed)) : 1))
  return messages
}

interface Step {
  readonly counts: OutboxCounts
  /** Messages that are still to be sent. */
  readonly retry?: ClaimedDelivery[][]
  /** Nothing more for now. */
  readonly isEnd: boolean
}

async function deliverTogether (context: DeliveryContext, target: Target, claim: Claim): Promise<Step> {
  const { owner, deliveries } = claim
  const startedAt = context.now()
  const begin = performance.now()
  const outcome = await attempt(context, toRequest(target, deliveries, startedAt))
  if (outcome === undefined) return { counts: nothing, retry: [[...deliveries]], isEnd: true }
  // one of them is what Discord does not take; the others are not to suffer for it
  if (deliveries.length > 1 && outcome.kind === 'failed' && outcome.status === 400) return { counts: nothing, retry: deliveries.map(delivery => [delivery]), isEnd: false }
  const counts = await recordDeliveryResult(context.db, { owner, deliveries, outcome, startedAt, durationMs: performance.now() - begin }, context.now())
  return { counts, isEnd: outcome.kind === 'gone' || outcome.kind === 'throttled' || (outcome.kind === 'delivered' && outcome.pauseMs !== undefined) }
}

/** Undefined: it was broken off by ourselves. */
async function attempt ({ sending, now }: DeliveryContext, message: Message): Promise<Outcome | undefined> {
  try {
    return toOutcome(await send(message, sending), now())
  } catch (error) {
    if (!(error instanceof SendFailure)) throw error
    return sending.signal?.aborted === true ? undefined : { kind: 'failed', error: error.message }
  }
}

function toRequest (target: Target, deliveries: readonly ClaimedDelivery[], now: number): Message {
  if (target.kind === 'discord') return { url: waiting(target.url), headers: {}, body: toMessage(deliveries.map(toEmbed)) }
  const [{ id, payload: body } = { id: '', payload: '' }] = deliveries
  return { url: target.url, headers: signatureHeaders({ id, body, secrets: target.secrets }, now), body }
}

/** Discord says what is wrong with a message only if it is asked to wait for it. */
function waiting (text: string): string {
  const url = new URL(text)
  url.searchParams.set('wait', 'true')
  return url.href
}

function toEmbed ({ payload }: ClaimedDelivery): Embed {
  return JSON.parse(payload) as Embed
}
