/**
 * A project as `fastify generate --lang=ts --esm` lays it out: this file, plugins/, routes/, test/. Node.js runs its TypeScript as it is, without a build.
 *
 * The generated app.ts lets @fastify/autoload find plugins and routes. Here they are named, so that their order can be read. autoload works as well: it
 * takes the order from what the plugins say they depend on.
 *
 *   npm install && npm start
 *   npm test
 */
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import database from './plugins/database.ts'
import root from './routes/root.ts'
import visits from './routes/visits.ts'

/** Read by fastify-cli with `--options`. */
export const options = { forceCloseConnections: 'idle' } satisfies FastifyServerOptions

/** fastify-cli asks for the two parameters. */
export default async function app (fastify: FastifyInstance, _options: object): Promise<void> {
  await fastify.register(database)
  await fastify.register(root)
  await fastify.register(visits, { prefix: '/visits' })
}
