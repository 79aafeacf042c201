/** The routes of metrics, the outbox, the reset of a development database. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function internal (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
