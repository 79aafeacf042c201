/** The token of a plugin, for one member of one group. Only its hash is kept: the answer to this call is the only place where the token itself is. Store: no Fastify. */
import type { Database } from '../../plugins/db/types.ts'
import { newId } from '../common/ids.ts'
import { newToken, sha256 } from '../common/secrets.ts'

export interface NewPluginToken {
  readonly userId: string
  readonly groupId: string
  readonly memberId: string
  readonly label: string
  readonly pluginVersion: string
}

/** By which people recognise a token in a list. */
const PREFIX_LENGTH = 9

const insert = `
  INSERT INTO plugin_tokens (id, token_hash, prefix, user_id, group_id, member_id, label, plugin_version, created_at)
  VALUES (:id, :hash, :prefix, :user, :group, :member, :label, :version, :now)`

export async function createPluginToken (db: Pick<Database, 'prepare'>, { userId, groupId, memberId, label, pluginVersion }: NewPluginToken, now: number): Promise<{ tokenId: string, token: string }> {
  const token = newToken('gv')
  const tokenId = newId('token')
  await db.prepare(insert).run({ id: tokenId, hash: sha256(token), prefix: token.slice(0, PREFIX_LENGTH), user: userId, group: groupId, member: memberId, label, version: pluginVersion, now })
  return { tokenId, token }
}
