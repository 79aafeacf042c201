/**
 * What is told of an event, made when it happens: a name that is changed later does not change what was.
 *
 * What is kept true: at most 20 kB. Receivers of their own get the form of Standard Webhooks (`{ type, timestamp, data }`), Discord an embed.
 */
import { cut, escapeMarkdown, makeEmbed } from './discord-text.ts'

export const webhookKinds = ['discord', 'generic'] as const
export type WebhookKind = typeof webhookKinds[number]

/** An event with the names of its time. */
export interface ToldEvent {
  readonly id: string
  readonly type: string
  readonly groupSeq: number
  readonly occurredAt: number
  readonly group: { readonly id: string, readonly name: string }
  readonly member: { readonly id: string, readonly name: string } | null
  readonly data: Readonly<Record<string, unknown>>
}

const MOST_BYTES = 20_000
/** Of a list in the text of a message. */
const MOST_LISTED = 10
const LONGEST_VALUE = 200

export function renderPayload (kind: WebhookKind, event: ToldEvent): string {
  return kind === 'discord' ? JSON.stringify(toEmbed(event)) : renderGeneric(event)
}

function renderGeneric ({ id, type, groupSeq, occurredAt, group, member, data }: ToldEvent): string {
  const render = (details: object): string => JSON.stringify({ type, timestamp: new Date(occurredAt).toISOString(), data: { eventId: id, groupSeq, group, member, details } })
  const text = render(data)
  return Buffer.byteLength(text) <= MOST_BYTES ? text : render({ truncated: true })
}

function toEmbed ({ type, occurredAt, group, member, data }: ToldEvent): object {
  const name = member?.name ?? 'Somebody'
  const title = (titles[type] ?? titles.other ?? '%s').replace('%s', () => escapeMarkdown(name))
  const lines = Object.entries(data).filter(([, value]) => isSaid(value) && value !== member?.name).map(([key, value]) => `${escapeMarkdown(toWords(key))}: ${describe(value)}`)
  return makeEmbed({ title, description: lines.join('\n'), at: occurredAt, footer: group.name })
}

const titles: Readonly<Record<string, string>> = {
  'member.joined': '%s joined the group',
  'member.left': '%s left the group',
  'group.renamed': 'The group has a new name',
  'storage.changed': '%s used the shared storage',
  'item.received': '%s received an item',
  loot: '%s got loot',
  death: '%s died',
  level: '%s gained a level',
  other: 'News of %s',
  'billing.changed': 'The plan of the group has changed',
  'webhook.test': 'This webhook works'
}

/** `netValue` → `net value` */
function toWords (key: string): string {
  return key.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
}

/** Nothing is not worth a line. */
function isSaid (value: unknown): boolean {
  return value !== null && value !== 0 && !(Array.isArray(value) && value.length === 0)
}

function describe (value: unknown): string {
  if (Array.isArray(value)) {
    const more = value.length > MOST_LISTED ? ` and ${value.length - MOST_LISTED} more` : ''
    return value.slice(0, MOST_LISTED).map(describe).join(', ') + more
  }
  if (typeof value !== 'object' || value === null) return cut(escapeMarkdown(String(value)), LONGEST_VALUE)
  const { name, quantity } = value as { name?: unknown, quantity?: unknown }
  if (typeof name === 'string') return typeof quantity === 'number' ? `${escapeMarkdown(name)} × ${quantity}` : escapeMarkdown(name)
  return cut(escapeMarkdown(JSON.stringify(value)), LONGEST_VALUE)
}
