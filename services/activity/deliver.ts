/**
 * What one claim has of one webhook: sent, and what came of it recorded. No network call is made inside a transaction.
 */
import type { Database } from '../../plugins/db/types.ts'
import type { Sealer } from '../common/sealing.ts'
import { toOutcome } from './answers.ts'
import type { ClaimedDelivery } from './claims.ts'
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

/** Those that were given up because the signal of `context.sending` said so are not recorded: they are the claim's, until it is released. */
export async function deliver (context: DeliveryContext, { owner, deliveries }: Claim): Promise<OutboxCounts> {
  const [first] = deliveries
  const sealed = first && await findTarget(context.db, first.webhookId)
  if (sealed === undefined) return nothing // deleted meanwhile, and these were cancelled
  const target = open(context, sealed)
  if (target === undefined) return await giveUp(context, { owner, deliveries })
  let counts = nothing
  for (const together of inMessages(target, deliveries)) {
    if (context.sending.signal?.aborted === true) break
    counts = addCounts(counts, await deliverTogether(context, target, { owner, deliveries: together }))
  }
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

async function deliverTogether (context: DeliveryContext, target: Target, claim: Claim): Promise<OutboxCounts> {
  const startedAt = context.now()
  const begin = performance.now()
  const outcome = await attempt(context, toRequest(target, claim.deliveries, startedAt))
  if (outcome === undefined) return nothing
  if (claim.deliveries.length > 1 && outcome.kind === 'failed' && outcome.status === 400) return await deliverSingly(context, target, claim)
  return await recordDeliveryResult(context.db, { ...claim, outcome, startedAt, durationMs: performance.now() - begin }, context.now())
}

/** One of them is what Discord does not take; the others are not to suffer for it. */
async function deliverSingly (context: DeliveryContext, target: Target, { owner, deliveries }: Claim): Promise<OutboxCounts> {
  let counts = nothing
  for (const delivery of deliveries) counts = addCounts(counts, await deliverTogether(context, target, { owner, deliveries: [delivery] }))
  return counts
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
