/** The routes of names and prices of items. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function catalog (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
