/** For the tests of the groups: a member with something of everything, and all rows that a group has. */
import type { Test } from 'tap'
import type { Database, Row } from '../../../plugins/db/types.ts'
import { CHANNEL, type GroupNews } from '../../../services/groups/lock.ts'
import { until } from '../../helper/long.ts'
import type { MadeGroup, Person, Plugin, World } from './world.ts'

export interface Filled { readonly ann: Person, readonly bob: Person, readonly group: MadeGroup, readonly memberId: string, readonly plugin: Plugin }

/** Ann's group, and Bob in it with something of everything that ends with a membership. */
export async function fill (world: World): Promise<Filled> {
  const [ann, bob] = [await world.person('Ann'), await world.person('Bob')]
  const group = await world.group(ann)
  const memberId = await world.join(bob, group)
  const plugin = await world.plugin(bob, { groupId: group.groupId, memberId })
  await putContainer(world, group, { owner: memberId, container: 'bank', writer: memberId })
  await putContainer(world, group, { owner: group.memberId, container: 'bank', writer: group.memberId })
  await putContainer(world, group, { owner: await world.sharedMember(group), container: 'shared', writer: memberId })
  await world.db.prepare(`
    INSERT INTO pairings (id, device_code_hash, user_code, status, user_id, member_id, label, plugin_name, plugin_version, interval_s, next_poll_at, expires_at, created_at)
    VALUES (?, ?, 'BBBBCCCC', 'approved', ?, ?, 'x', 'x', '1', 5, 1, 1, 1)`).run(`pair_${memberId}`, memberId, bob.userId, memberId)
  return { ann, bob, group, memberId, plugin }
}

/** With seven coins, and its mark. */
async function putContainer ({ db, clock: { now } }: World, { groupId }: MadeGroup, { owner, container, writer }: { owner: string, container: string, writer: string }): Promise<void> {
  await db.prepare(`
    INSERT INTO containers (member_id, container, group_id, content_hash, item_count, epoch, seq, writer_member_id, captured_at, received_at, version, approximate)
    VALUES (?, ?, ?, 'x', 1, 1, 1, ?, ?, ?, 1, 0)`).run(owner, container, groupId, writer, now, now)
  await db.prepare('INSERT INTO container_items (member_id, container, slot, group_id, item_id, quantity) VALUES (?, ?, 995, ?, 995, 7)').run(owner, container, groupId)
  await db.prepare(`INSERT INTO sync_marks (owner_member_id, container, writer_member_id, epoch, seq, body_hash, updated_at) VALUES (?, ?, ?, 1, 1, 'x', ?)`).run(owner, container, writer, now)
}

const tables = ['groups', 'members', 'plugin_tokens', 'containers', 'container_items', 'sync_marks', 'pairings', 'group_changes', 'activity_events', 'webhooks', 'outbox', 'audit_log']

/** All rows of all groups, by table. */
export async function rowsOf (db: Database): Promise<Record<string, readonly Row[]>> {
  const rows = await Promise.all(tables.map(async table => [table, (await db.prepare(`SELECT * FROM ${table}`).all()).map(row => JSON.stringify(row)).sort()] as const))
  return Object.fromEntries(rows.map(([table, texts]) => [table, texts.map(text => JSON.parse(text) as Row)]))
}

/** A function that answers what was told of groups since it was called last. */
export async function hear (t: Test, { db }: World): Promise<() => Promise<GroupNews[]>> {
  let heard: string[] = []
  let marks = 0
  const listener = await db.listen(CHANNEL, ({ payload = '' }) => { heard.push(payload) })
  t.teardown(async () => { await listener.close() })
  const look = async (): Promise<GroupNews[]> => {
    // what is told before it is heard before it
    const mark = `{"mark":${++marks}}`
    await db.notify(CHANNEL, mark)
    await until('the mark is heard', () => heard.includes(mark))
    const news = heard.slice(0, heard.indexOf(mark))
    heard = heard.slice(news.length + 1)
    return news.map(text => JSON.parse(text) as GroupNews)
  }
  await look()
  return look
}
