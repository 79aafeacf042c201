/** The routes of health and flags. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function ops (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
