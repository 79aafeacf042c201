/** The routes of people: sign-in, sessions. */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

export default async function auth (_app: FastifyInstance, _context: VaultContext): Promise<void> {}
