/**
 * The demo group: five people with all that they have, in one commit (T17). Nobody can sign in as one of them, and nobody can join.
 *
 * What is kept true: there is one at most, however many processes start at once; what its people have came in as a plugin reports it.
 */
import type { Database } from '../../plugins/db/types.ts'
import { appendActivity } from '../activity/append.ts'
import { findPointer, loadCatalog } from '../catalog/load.ts'
import { newId } from '../common/ids.ts'
import { createGroup } from '../groups/create-group.ts'
import { createPluginToken } from '../groups/create-token.ts'
import { setJoinCode } from '../groups/join-code.ts'
import { joinGroupByCode } from '../groups/join-group.ts'
import { lockGroup } from '../groups/lock.ts'
import type { ContainerName } from '../sync/containers.ts'
import { readContent, type Pair } from '../sync/content.ts'
import { applyContainers } from '../sync/store/apply.ts'
import type { Writer } from '../sync/store/place.ts'
import { openSyncSession } from '../sync/store/sessions.ts'
import { findDemoGroup } from './find.ts'
import { makeHistory } from './history.ts'
import { firstHoldings, sharedStorage } from './holdings.ts'
import { GROUP_NAME, people, type DemoPerson } from './people.ts'
import { startRandom, type Random } from './random.ts'
import { chooseStock, type Stock } from './stock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

const SEED = 7
const DAY_MS = 86_400_000
/** The group is so old. */
const AGE_MS = 60 * DAY_MS

const lock = `INSERT INTO app_meta (key, value) VALUES ('demo_lock', '') ON CONFLICT (key) DO UPDATE SET value = excluded.value`

/** Answers its id; `isNew`: there was none. */
export async function seedDemo (db: Db, now: number): Promise<{ groupId: string, isNew: boolean }> {
  return await db.tx(async () => {
    await db.prepare(lock).run()
    const found = await findDemoGroup(db)
    if (found !== undefined) return { groupId: found, isNew: false }
    const random = startRandom(SEED)
    const stock = chooseStock(await loadCatalog(db, await findPointer(db)), random)
    const writers = await gather(db, now)
    for (const [i, writer] of writers.entries()) await fill(db, { writer, index: i, stock, random }, now)
    const [{ groupId }] = writers
    await tellHistory(db, { writers, stock, random }, now)
    return { groupId, isNew: true }
  })
}

/** The people, in a group, each with a plugin; the owner first. */
async function gather (db: Db, now: number): Promise<[Writer, ...Writer[]]> {
  const [first, ...others] = people
  if (first === undefined) throw new Error('nobody is in the demo group')
  const began = now - AGE_MS
  const ownerId = await createPerson(db, first, began)
  const made = await createGroup(db, { name: GROUP_NAME, ownerUserId: ownerId, ownerName: first.name, characterName: first.character, isDemo: true }, began)
  const { groupId, joinCode } = made
  const owner = await createDemoPlugin(db, { groupId, memberId: made.memberId, userId: ownerId }, began)
  const rest: Writer[] = []
  for (const [i, person] of others.entries()) {
    const at = began + (i + 1) * DAY_MS
    const userId = await createPerson(db, person, at)
    const { memberId } = await joinGroupByCode(db, { code: joinCode, userId, displayName: person.name, characterName: person.character }, at)
    rest.push(await createDemoPlugin(db, { groupId, memberId, userId }, at))
  }
  await setJoinCode(db, { groupId, userId: ownerId }, 'disable', began + 9 * DAY_MS)
  return [owner, ...rest]
}

/** Its token is made and forgotten: nobody can use it but this app, by its id. */
async function createDemoPlugin (db: Db, { groupId, memberId, userId }: { groupId: string, memberId: string, userId: string }, now: number): Promise<Writer> {
  const { tokenId } = await createPluginToken(db, { groupId, memberId, userId, label: 'Demo', pluginVersion: '1.0.0' }, now)
  return { groupId, memberId, tokenId }
}

/** Without an identity: there is no way to sign in. */
async function createPerson (db: Db, { name }: DemoPerson, now: number): Promise<string> {
  const id = newId('user')
  await db.prepare(`INSERT INTO users (id, display_name, theme, is_operator, created_at) VALUES (?, ?, 'system', 0, ?)`).run(id, name, now)
  return id
}

interface Filling { readonly writer: Writer, readonly index: number, readonly stock: Stock, readonly random: Random }

async function fill (db: Db, { writer, index, stock, random }: Filling, now: number): Promise<void> {
  const person = people[index]
  if (person === undefined) throw new Error('there are more plugins than people')
  const { epoch } = await openSyncSession(db, writer, { accountHash: person.account, characterName: person.character, clientTime: now }, now)
  const holdings = firstHoldings(person, stock, random)
  if (index === 0) holdings.set('shared', sharedStorage(stock, random))
  await applyContainers(db, writer, { epoch, seq: 1, capturedAt: now, contents: toContents(holdings) }, now)
  await db.prepare('UPDATE members SET last_world = ?, last_seen_at = ? WHERE id = ?').run(person.world, now, writer.memberId)
}

function toContents (holdings: ReadonlyMap<ContainerName, readonly Pair[]>): Map<ContainerName, ReturnType<typeof readContent>> {
  return new Map([...holdings].map(([name, pairs]) => [name, readContent(name, pairs, `/${name}`)]))
}

/** What has happened in the last days. */
async function tellHistory (db: Db, { writers, stock, random }: { writers: readonly Writer[], stock: Stock, random: Random }, now: number): Promise<void> {
  const [first] = writers
  if (first === undefined) return
  await lockGroup(db, first.groupId, now)
  for (const { at, who, type, data } of makeHistory({ people: writers.length, stock, random }, now)) {
    const memberId = writers[who]?.memberId
    await appendActivity(db, { groupId: first.groupId, type, data, ...(memberId !== undefined && { memberId }) }, at)
  }
}
