/** The routes of groups: members, roles, join codes, tokens. They are in routes/, by theme. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { deviceRoutes } from './routes/devices.ts'
import { groupRoutes } from './routes/groups.ts'
import { joiningRoutes } from './routes/joining.ts'
import { memberRoutes } from './routes/members.ts'

export default async function groups (app: FastifyInstance, context: VaultContext): Promise<void> {
  for (const addRoutes of [groupRoutes, joiningRoutes, memberRoutes, deviceRoutes]) addRoutes(app, context)
}
