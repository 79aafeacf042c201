/**
 * Which jobs a user may see, as a condition on `job`.
 *
 * First match wins: nobody → 401; exactly [api], admin or support → all; manager with projects → those projects and their own; manager, user → their own;
 * anything else → 403. A job that is hidden is "not found", never "forbidden".
 */
import { column } from './dialect.ts'
import { JobsForbiddenRole, JobsUnauthenticated } from './errors.ts'
import { isNonEmpty, join, list, sql, type Fragment } from './fragment.ts'
import type { User } from './schema.ts'

/** A part of what a user may see. The parts of one user have no job in common. Undefined: of anybody, of any project. */
export interface Visible { readonly users?: readonly string[], readonly projects?: readonly string[], readonly notProjects: readonly string[] }

/** The parts, at least one. Throws `TDM_ERR_JOBS_UNAUTHENTICATED`, `TDM_ERR_JOBS_FORBIDDEN_ROLE`. */
export function rolesOf (user: User | null): Visible[] {
  if (user === null) throw new JobsUnauthenticated()
  const { username, roles, projects = [] } = user
  const has = (role: string): boolean => roles.includes(role)
  if (has('admin') || has('support') || (has('api') && roles.length === 1)) return [{ notProjects: [] }]
  const users = [username]
  if (has('manager') && projects.length > 0) return [{ projects, notProjects: [] }, { users, notProjects: projects }]
  if (has('manager') || has('user')) return [{ users, notProjects: [] }]
  throw new JobsForbiddenRole(roles.length === 0 ? 'no role' : roles.join(', '))
}

/** The conditions, none for somebody who sees everything. Throws as `rolesOf`. */
export function visibleTo (user: User | null): Fragment[] {
  const [{ users = [], projects = [] } = {}, other] = rolesOf(user)
  const own = (names: readonly string[]): Fragment[] => names.map(name => sql`${column('hpc_user')} = ${name}`)
  if (isNonEmpty(projects)) return [sql`(${column('project')} IN ${list(projects)} OR ${join(own(other?.users ?? []), ' OR ')})`]
  return own(users)
}
