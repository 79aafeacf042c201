/** Who has changed what: a row in the transaction of the change, so that neither is there without the other. */
import type { Database } from '../../plugins/db/types.ts'
import { newId } from '../common/ids.ts'

export interface AuditEntry {
  /** Undefined: the app itself. */
  readonly actorUserId?: string
  readonly groupId?: string
  /** `what.done`, as `flag.set`. */
  readonly action: string
  /** No secrets. */
  readonly detail?: Readonly<Record<string, unknown>>
}

export async function audit (db: Pick<Database, 'prepare'>, { actorUserId, groupId, action, detail = {} }: AuditEntry, now: number): Promise<void> {
  await db.prepare('INSERT INTO audit_log (id, actor_user_id, group_id, action, detail, at) VALUES (?, ?, ?, ?, ?, ?)')
    .run(newId('audit'), actorUserId ?? null, groupId ?? null, action, JSON.stringify(detail), now)
}
