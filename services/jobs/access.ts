/**
 * Which jobs a user may see, as a condition on `job`.
 *
 * First match wins: nobody → 401; exactly [api], admin or support → all; manager with projects → those projects and their own; manager, user → their own;
 * anything else → 403. A job that is hidden is "not found", never "forbidden".
 */
import { column } from './dialect.ts'
import { JobsForbiddenRole, JobsUnauthenticated } from './errors.ts'
import { isNonEmpty, list, sql, type Fragment } from './fragment.ts'
import type { User } from './schema.ts'

/** The conditions, none for somebody who sees everything. Throws `TDM_ERR_JOBS_UNAUTHENTICATED`, `TDM_ERR_JOBS_FORBIDDEN_ROLE`. */
export function visibleTo (user: User | null): Fragment[] {
  if (user === null) throw new JobsUnauthenticated()
  const { username, roles, projects = [] } = user
  const has = (role: string): boolean => roles.includes(role)
  if (has('admin') || has('support') || (has('api') && roles.length === 1)) return []
  const own = sql`${column('hpc_user')} = ${username}`
  if (has('manager') && isNonEmpty(projects)) return [sql`(${column('project')} IN ${list(projects)} OR ${own})`]
  if (has('manager') || has('user')) return [own]
  throw new JobsForbiddenRole(roles.length === 0 ? 'no role' : roles.join(', '))
}
