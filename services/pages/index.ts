/** The routes of the pages. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function pages (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
