/** Builds the app as fastify-cli starts it. */
import type { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import helper from 'fastify-cli/helper.js'
import type { FastifyInstance } from 'fastify'
import type {} from 'fastify-tandem' // app.db

/** Closed with the test. `skipOverride`: what the app decorates, such as `app.db`, is there for the test. */
export async function build (t: { after: typeof after }): Promise<FastifyInstance> {
  const app = await helper.build([fileURLToPath(new URL('../src/app.ts', import.meta.url))], { skipOverride: true }) as FastifyInstance
  t.after(async () => { await app.close() })
  return app
}
