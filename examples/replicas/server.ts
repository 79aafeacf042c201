/**
 * Reads on a standby. GET routes are read transactions and run there; all else runs on the primary. Who has just written reads the primary until the standby has it,
 * and when the standby fails nobody is told: the primary answers.
 *
 *   DATABASE_URL=postgres://app:secret@primary/app DATABASE_REPLICA_URL=postgres://app:secret@standby/app node server.ts
 *   curl http://127.0.0.1:3000/visits
 *   curl -X POST http://127.0.0.1:3000/visits
 */
import Fastify from 'fastify'
import { config, db, tx } from 'fastify-tandem'

const app = Fastify()
await app.register(config)
await app.register(db)
await app.register(tx)
await app.db.exec('CREATE TABLE IF NOT EXISTS visit (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY)')

const count = app.db.prepare('SELECT count(*) AS visits, pg_is_in_recovery() AS on_standby FROM visit') // a boolean comes as 1 or 0
const add = app.db.prepare('INSERT INTO visit DEFAULT VALUES')

app.get('/visits', async () => await count.get())
app.post('/visits', async () => {
  await add.run()
  return await count.get()
})
app.get('/replica', { config: { tx: false } }, async () => app.db.status().replica)
await app.listen({ port: 3000 })
