/** The join code of a group (T6). Store: no Fastify. What is kept true: a group has one at most, and the old one is dead in the commit that makes the new one. */
import type { Database } from '../../plugins/db/types.ts'
import { newCode } from '../common/secrets.ts'
import { audit } from '../ops/audit.ts'
import { showCode } from './find-groups.ts'
import { admins, lockGroupAs, type Actor } from './lock-as.ts'
import { bumpGroupVersion } from './lock.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

/** `rotate` makes a new one, also if there was none; `enable` only then. */
export type CodeAction = 'rotate' | 'disable' | 'enable'

const CODE_TRIES = 5

/** For an admin. Answers the code as people write it; null: nobody can join. */
export async function setJoinCode (db: Db, actor: Actor, action: CodeAction, now: number): Promise<string | null> {
  return await db.tx(async () => {
    const { group: { join_code: before = null } } = await lockGroupAs(db, actor, admins, now)
    if (action === (before === null ? 'disable' : 'enable')) return showCode(before)
    const { groupId, userId } = actor
    const code = action === 'disable' ? await removeCode(db, groupId) : await replaceCode(db, groupId)
    await bumpGroupVersion(db, groupId, [{ kind: 'settings' }], now)
    await audit(db, { actorUserId: userId, groupId, action: `join-code.${action}` }, now)
    return showCode(code)
  })
}

async function removeCode (db: Db, groupId: string): Promise<null> {
  await db.prepare('UPDATE groups SET join_code = NULL WHERE id = ?').run(groupId)
  return null
}

/** One that no group has. (An UPDATE has no ON CONFLICT; two groups that draw the same of 20⁸ codes in the same moment would get an error, and nothing else.) */
async function replaceCode (db: Db, groupId: string): Promise<string> {
  for (let i = 0; i < CODE_TRIES; i++) {
    const code = newCode()
    const sql = 'UPDATE groups SET join_code = :code WHERE id = :group AND NOT EXISTS (SELECT 1 FROM groups AS others WHERE others.join_code = :code) RETURNING id'
    if (await db.prepare(sql).get({ code, group: groupId }) !== undefined) return code
  }
  throw new Error(`no join code was free in ${CODE_TRIES} tries`)
}
