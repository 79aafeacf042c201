/**
 * The whole of it in one file: a table, a route, and a transaction for each request. README.md shows the same program, and a test keeps the two equal.
 *
 *   node server.ts
 *   curl -X POST http://127.0.0.1:3000/visits/1
 */
import Fastify from 'fastify'
import { config, db, tx } from 'fastify-tandem'

const app = Fastify()
await app.register(config) // reads DATABASE_URL; without it: SQLite in data/app.db
await app.register(db) // app.db
await app.register(tx) // each request is a transaction
await app.db.exec('CREATE TABLE IF NOT EXISTS visit (id BIGINT PRIMARY KEY, path TEXT NOT NULL)')

app.post('/visits/:id', async (request) => {
  const { id } = request.params as { id: number }
  await app.db.prepare('INSERT INTO visit (id, path) VALUES (?, ?)').run(id, request.url)
  return await app.db.prepare('SELECT count(*) AS visits FROM visit').get()
}) // COMMIT comes before the first byte of the reply: a 200 is durable, anything else left nothing behind
await app.listen({ port: 3000 })
