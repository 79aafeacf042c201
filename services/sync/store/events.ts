/** What a plugin reports to have happened, each event once. Store: no Fastify. */
import { appendActivity, type EventType } from '../../activity/append.ts'
import { inPlace, type Db, type Writer } from './place.ts'

export interface PluginEvent {
  /** The plugin's own. */
  readonly eventId: string
  readonly type: string
  /** Milliseconds since 1970, on the clock of the plugin. */
  readonly occurredAt: number
  readonly data: Readonly<Record<string, unknown>>
}

/** What plugins may report under its own name; everything else is `other`, and says what it was called. */
const reported: ReadonlySet<string> = new Set(['item.received', 'loot', 'death', 'level', 'other'] satisfies EventType[])

/** Throws `TOKEN_REVOKED`. */
export async function recordEvents (db: Db, writer: Writer, events: readonly PluginEvent[], now: number): Promise<{ accepted: number, duplicates: number }> {
  return await inPlace(db, writer, now, async ({ clockOffsetMs }) => {
    let accepted = 0
    for (const { eventId, type, occurredAt, data } of events) {
      const isKnown = reported.has(type)
      const event = { groupId: writer.groupId, memberId: writer.memberId, sourceEventId: eventId, occurredAt: Math.min(occurredAt - clockOffsetMs, now) }
      const added = await appendActivity(db, { ...event, type: isKnown ? type as EventType : 'other', data: isKnown ? data : { ...data, reportedType: type } }, now)
      if (added !== undefined) accepted++
    }
    return { accepted, duplicates: events.length - accepted }
  })
}
