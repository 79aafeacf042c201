/** The routes of groups: members, roles, join codes, tokens. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function groups (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
