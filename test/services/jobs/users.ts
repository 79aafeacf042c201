/** Users of every role, for what each of them may see. */
import type { User } from '../../../services/jobs/schema.ts'

export const admin: User = { username: 'root', roles: ['admin'] }

/** Who sees something, or nothing, of the jobs of test/data/jobs.ts. */
export const users: User[] = [
  { username: 'tool', roles: ['api'] }, { username: 'user01', roles: ['user', 'api'] }, { username: 'help', roles: ['user', 'support'] }, { username: 'user00', roles: ['user'] },
  { username: 'nobody', roles: ['user'], projects: ['Project1'] }, { username: 'user02', roles: ['manager'], projects: ['Project0', 'Project3'] },
  { username: 'user02', roles: ['manager'], projects: [] }, { username: 'user02', roles: ['manager'] }
]

/** Users who are refused, and how. */
export const refused: Array<{ user: User | null, code: string }> = [
  { user: null, code: 'TDM_ERR_JOBS_UNAUTHENTICATED' },
  ...[[], ['anonymous'], ['api', 'anonymous'], ['root']].map(roles => ({ user: { username: 'user00', roles }, code: 'TDM_ERR_JOBS_FORBIDDEN_ROLE' }))
]
