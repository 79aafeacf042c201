/** The routes of what a group has, and its changes. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function vault (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
