/**
 * What changed in a group since a version that somebody has seen.
 *
 * What is kept true: versions have no gaps, so a log that begins right behind what was seen misses nothing; in all other cases the answer is to read everything anew.
 */
import type { Database, Row } from '../../plugins/db/types.ts'
import { loadCatalog } from '../catalog/load.ts'
import { toNumber, toText, toTime } from '../common/columns.ts'
import { findContents, toSlots, type Content } from './contents.ts'
import { oneMoment, readHead } from './head.ts'
import type { ChangesSince, GroupChange } from './schema.ts'
import { tilesOf } from './containers.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

const changes = `
  SELECT version, kind, member_id, container, at FROM group_changes
  WHERE group_id = ? AND version > ? AND version <= ? ORDER BY version, kind, member_id, container`

/** In order, from the version after `since` to `to`. Undefined: not all of it is known any more, or `since` has never been. */
export async function listGroupChangesSince (db: Pick<Database, 'prepare'>, groupId: string, since: number, to: number): Promise<GroupChange[] | undefined> {
  if (since > to) return undefined
  if (since === to) return []
  const rows = await db.prepare(changes).all(groupId, since, to)
  return toNumber(rows[0]?.version ?? 0) === since + 1 ? rows.map(toChange) : undefined
}

function toChange (row: Row): GroupChange {
  return {
    version: toNumber(row.version),
    kind: toText(row.kind) as GroupChange['kind'],
    memberId: toText(row.member_id) || null,
    container: toText(row.container) || null,
    at: toTime(row.at)
  }
}

/** Begins a transaction of its own, or is in one that has the options `oneMoment`. Throws `NOT_FOUND`. */
export async function getContainersChangedSince (db: Db, groupId: string, since: number): Promise<ChangesSince> {
  return await db.tx(async () => {
    const { version: to, pointer, members } = await readHead(db, groupId)
    const found = await listGroupChangesSince(db, groupId, since, to)
    const base = { from: since, to, catalogVersion: pointer.version, changes: [], containers: [], removedMembers: [], items: {} }
    if (found === undefined) return { ...base, resync: true }
    const current = new Set(members.map(({ memberId }) => memberId))
    const contents = await findContents(db, { groupId, changedSince: since })
    const containers = changedContainers(found, contents).filter(({ memberId }) => current.has(memberId))
    const items = tilesOf(await loadCatalog(db, pointer), containers.map(({ content }) => content))
    return { ...base, resync: false, changes: found, containers, removedMembers: removedMembers(found, current), items }
  }, oneMoment)
}

/** Each container once, as it is now; null if it is gone. */
function changedContainers (changes: readonly GroupChange[], contents: readonly Content[]): ChangesSince['containers'] {
  const byName = new Map(contents.map(content => [`${content.memberId} ${content.container}`, content]))
  const names = new Map(changes.flatMap(({ kind, memberId, container }) =>
    kind === 'container' && memberId !== null && container !== null ? [[`${memberId} ${container}`, { memberId, container }] as const] : []))
  return Array.from(names, ([name, { memberId, container }]) => {
    const content = byName.get(name)
    return { memberId, container, content: content === undefined ? null : toSlots(content) }
  })
}

function removedMembers (changes: readonly GroupChange[], current: ReadonlySet<string>): string[] {
  const named = new Set(changes.flatMap(({ memberId }) => memberId ?? []))
  return Array.from(named).filter(memberId => !current.has(memberId))
}
