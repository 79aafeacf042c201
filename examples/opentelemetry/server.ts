/**
 * Spans of every statement and transaction, printed to stdout. trace.ts makes them; copy it into an app. An app that sends them somewhere has its own provider,
 * such as the one of @opentelemetry/sdk-node, whose context manager makes them children of the request's span.
 *
 *   node server.ts
 *   curl http://127.0.0.1:3000/answer
 */
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import Fastify from 'fastify'
import { config, db, tx } from 'fastify-tandem'
import { traceDatabase } from './trace.ts'

const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())] })
const stop = traceDatabase(provider.getTracer('database'))

const app = Fastify()
await app.register(config)
await app.register(db)
await app.register(tx)
const answer = app.db.prepare<{ answer: number }>('SELECT 6 * 7 AS answer')
app.get('/answer', async () => await answer.get())
app.addHook('onClose', async () => {
  stop()
  await provider.shutdown()
})
await app.listen({ port: 3000 })
