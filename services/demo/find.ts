/** The demo group, and the plugins in it. */
import type { Database } from '../../plugins/db/types.ts'
import { toText } from '../common/columns.ts'
import type { Writer } from '../sync/store/place.ts'

type Db = Pick<Database, 'prepare'>

/** Undefined: there is none. */
export async function findDemoGroup (db: Db): Promise<string | undefined> {
  const row = await db.prepare('SELECT id FROM groups WHERE is_demo = 1 AND deleted_at IS NULL ORDER BY id LIMIT 1').get()
  return row && toText(row.id)
}

const plugins = `
  SELECT plugin_tokens.id, plugin_tokens.member_id, members.character_name, members.account_hash FROM plugin_tokens JOIN members ON members.id = plugin_tokens.member_id
  WHERE plugin_tokens.group_id = ? AND plugin_tokens.revoked_at IS NULL AND members.left_at IS NULL ORDER BY members.id`

export interface DemoPlugin extends Writer { readonly characterName: string, readonly accountHash: string }

export async function listDemoPlugins (db: Db, groupId: string): Promise<DemoPlugin[]> {
  return (await db.prepare(plugins).all(groupId)).map(row => ({
    groupId, memberId: toText(row.member_id), tokenId: toText(row.id), characterName: toText(row.character_name), accountHash: toText(row.account_hash)
  }))
}
