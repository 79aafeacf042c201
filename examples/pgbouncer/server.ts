/**
 * An app behind PgBouncer in transaction mode. Nothing in it differs: DATABASE_URL names the pooler, which is recognised at the first connection.
 *
 * What a pooler in this mode cannot have: `db.listen` (TDM_ERR_EVENTS_POOLED; `db.notify` works), and settings of a session. Limits go into each transaction.
 *
 *   pgbouncer pgbouncer.ini
 *   DATABASE_URL=postgres://app:secret@127.0.0.1:6432/app node server.ts
 *   curl -X POST http://127.0.0.1:3000/transfers
 */
import Fastify from 'fastify'
import { config, db, tx } from 'fastify-tandem'

const app = Fastify()
await app.register(config)
await app.register(db)
await app.register(tx)
await app.db.exec('CREATE TABLE IF NOT EXISTS account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)')
await app.db.exec('INSERT INTO account (id, balance) VALUES (1, 100), (2, 0) ON CONFLICT (id) DO NOTHING')

const change = app.db.prepare('UPDATE account SET balance = balance + :amount WHERE id = :id')
const accounts = app.db.prepare('SELECT id, balance FROM account ORDER BY id')

app.get('/accounts', async () => await accounts.all())
app.get('/pooler', async () => ({ pooler: app.db.status().postgres?.pooler ?? 'none' }))
app.post('/transfers', async () => {
  await change.run({ id: 1, amount: -1 })
  await change.run({ id: 2, amount: 1 }) // on the same connection to the server as the statement before
  return await accounts.all()
})
await app.listen({ port: 3000 })
