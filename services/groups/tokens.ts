/** The tokens of plugins, as people see and end them. Stores: no Fastify. What is kept true: nobody is shown a token, or its hash; one that was revoked is refused at once. */
import type { Database, Row } from '../../plugins/db/types.ts'
import { toText, toTime, toTimeOrNull } from '../common/columns.ts'
import { NotFound } from '../common/errors.ts'
import { anyone, lockGroupAs, type Actor } from './lock-as.ts'
import type { Membership } from './lookups.ts'
import type { Token } from './schema.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

const live = `
  SELECT plugin_tokens.id, plugin_tokens.prefix, plugin_tokens.label, plugin_tokens.member_id, plugin_tokens.plugin_version, plugin_tokens.created_at, plugin_tokens.last_used_at, members.display_name
  FROM plugin_tokens JOIN members ON members.id = plugin_tokens.member_id
  WHERE plugin_tokens.group_id = :group AND plugin_tokens.revoked_at IS NULL AND (plugin_tokens.expires_at IS NULL OR plugin_tokens.expires_at > :now)
    AND (:all = 1 OR plugin_tokens.user_id = :user)
  ORDER BY plugin_tokens.created_at, plugin_tokens.id`

/** Those that work: one's own, an admin's all of the group. */
export async function listPluginTokens (db: Pick<Database, 'prepare'>, { groupId, userId, role }: Membership, now: number): Promise<Token[]> {
  return (await db.prepare(live).all({ group: groupId, user: userId, all: role !== 'member', now })).map(toToken)
}

/** One's own, or by an admin. Throws `NOT_FOUND`. */
export async function revokePluginToken (db: Db, actor: Actor, tokenId: string, now: number): Promise<void> {
  await db.tx(async () => {
    const { membership } = await lockGroupAs(db, actor, anyone, now)
    const { changes } = await db.prepare('UPDATE plugin_tokens SET revoked_at = :now WHERE id = :token AND group_id = :group AND revoked_at IS NULL AND (:all = 1 OR user_id = :user)')
      .run({ now, token: tokenId, group: actor.groupId, all: membership.role !== 'member', user: actor.userId })
    if (changes === 0) throw new NotFound('token')
  })
}

function toToken (row: Row): Token {
  return {
    id: toText(row.id),
    prefix: toText(row.prefix),
    label: toText(row.label),
    memberId: toText(row.member_id),
    memberName: toText(row.display_name),
    pluginVersion: toText(row.plugin_version),
    createdAt: toTime(row.created_at),
    lastUsedAt: toTimeOrNull(row.last_used_at)
  }
}
