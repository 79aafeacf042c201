/**
 * An app of two plugins of its own on `app.db`: `notes` keeps rows, and `digest` uses `notes`.
 *
 *   node server.ts
 *   curl -X POST http://127.0.0.1:3000/notes -H 'content-type: application/json' -d '{ "text": "the first" }'
 *   curl http://127.0.0.1:3000/digest
 */
import Fastify from 'fastify'
import { config, db, tx } from 'fastify-tandem'
import digest from './digest/index.ts'
import notes, { noteMigrations } from './notes/index.ts'

const app = Fastify()
await app.register(config)
await app.register(db, { migrations: [noteMigrations] }) // applied before the app is ready
await app.register(tx)
await app.register(notes)
await app.register(digest)
await app.listen({ port: 3000 })
