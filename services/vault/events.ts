/**
 * The events of one stream, from its greeting to its end.
 *
 * What is kept true: the queue is filled before the version is read, so what is committed in between is told; and what was committed before is not told again. Who comes
 * back with the version seen last gets what happened since, or is told to read everything anew.
 */
import type { Database } from '../../plugins/db/types.ts'
import { listGroupChangesSince } from './changes.ts'
import type { EventQueue, VaultEvent } from './event-queue.ts'
import type { GroupChange } from './schema.ts'
import { readBeginning } from './watchers.ts'

/** `seen`: undefined: nothing yet. NaN: something, but not what. */
export async function beginEvents (db: Pick<Database, 'prepare'>, { groupId, seen, now }: { groupId: string, seen: number | undefined, now: number }): Promise<{ version: number, events: VaultEvent[] }> {
  const { version, catalogVersion } = await readBeginning(db, groupId)
  const hello: VaultEvent = { event: 'hello', ...(seen === undefined && { version }), data: { version, catalogVersion, serverTime: new Date(now).toISOString() } }
  return { version, events: [hello, ...(seen === undefined ? [] : await missedEvents(db, groupId, seen, version))] }
}

async function missedEvents (db: Pick<Database, 'prepare'>, groupId: string, seen: number, version: number): Promise<VaultEvent[]> {
  const changes = Number.isSafeInteger(seen) ? await listGroupChangesSince(db, groupId, seen, version) : undefined
  if (changes === undefined) return [{ event: 'resync', version, data: { version } }]
  const events = changes.map(({ version, kind }) => ({ event: eventOf(kind), version, data: { version } }))
  return events.filter(({ event, version }, i) => !(events[i - 1]?.event === event && events[i - 1]?.version === version))
}

function eventOf (kind: GroupChange['kind']): 'vault' | 'roster' {
  return kind === 'container' ? 'vault' : 'roster'
}

/** As they are written to the stream. */
export async function * streamEvents (queue: EventQueue, { version, events }: { version: number, events: readonly VaultEvent[] }): AsyncGenerator<{ id?: string, event: string, data: object }> {
  for (const event of events) yield toMessage(event)
  for await (const event of queue) {
    if (event.version === undefined || event.version > version) yield toMessage(event)
  }
}

function toMessage ({ event, version, data }: VaultEvent): { id?: string, event: string, data: object } {
  return { ...(version !== undefined && { id: String(version) }), event, data }
}
