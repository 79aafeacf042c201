/** The routes of plugins: pairing, uploads. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function sync (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
