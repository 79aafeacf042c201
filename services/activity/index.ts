/** The routes of what happened, and webhooks. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function activity (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
