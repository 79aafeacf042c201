/** The routes of plans and subscriptions. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function billing (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
