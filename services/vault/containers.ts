/** What one member of a group has, container by container. */
import type { Database } from '../../plugins/db/types.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { loadCatalog } from '../catalog/load.ts'
import { NotFound } from '../common/errors.ts'
import { containerNames, SHARED, type ContainerName } from './container-names.ts'
import { findContents, toSlots } from './contents.ts'
import { oneMoment, readHead } from './head.ts'
import type { ContainerContent, ItemTile, MemberContainers } from './schema.ts'
import { toTile } from './store.ts'

type Db = Pick<Database, 'prepare' | 'tx'>

/** `names`: default: all that such a member can have. Begins a transaction of its own, or is in one that has the options `oneMoment`. Throws `NOT_FOUND`. */
export async function listMemberContainers (db: Db, groupId: string, memberId: string, names?: readonly ContainerName[]): Promise<MemberContainers> {
  return await db.tx(async () => {
    const { version, pointer, members } = await readHead(db, groupId)
    const member = members.find(one => one.memberId === memberId)
    if (member === undefined) throw new NotFound('member')
    const contents = new Map((await findContents(db, { groupId, memberId })).map(content => [content.container, toSlots(content)]))
    const wanted = names ?? containerNames.filter(name => (name === SHARED) === (member.kind === 'shared'))
    const containers = Object.fromEntries(wanted.map(name => [name, contents.get(name) ?? null]))
    const items = tilesOf(await loadCatalog(db, pointer), Object.values(containers))
    return { memberId, version, catalogVersion: pointer.version, containers, items }
  }, oneMoment)
}

/** All items that are in these, by id. */
export function tilesOf (catalog: Catalog, contents: ReadonlyArray<ContainerContent | null>): Record<string, ItemTile> {
  const ids = new Set(contents.flatMap(content => content?.slots ?? []).flatMap(slot => slot?.itemId ?? []))
  return Object.fromEntries(Array.from(ids, itemId => [String(itemId), toTile(catalog.tileOf(itemId))]))
}
