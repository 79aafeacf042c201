/**
 * Spans of OpenTelemetry from what the database layer tells on `node:diagnostics_channel`, with the stable conventions for databases
 * (https://opentelemetry.io/docs/specs/semconv/db/database-spans/). No literal of an SQL text and no value is in a span.
 *
 *   const stop = traceDatabase(trace.getTracer('database'))
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { context, SpanKind, SpanStatusCode, trace, type Attributes, type Tracer } from '@opentelemetry/api'
import { operationOf, redact, summaryOf, type MemoryEvent, type PoolEvent, type StatementEvent, type TxEvent } from 'fastify-tandem'

/** Makes spans until the answer is called. */
export function traceDatabase (tracer: Tracer): () => void {
  const listeners: ReadonlyArray<readonly [channel: string, listener: (event: unknown) => void]> = [
    ['tandem:statement', event => { traceStatement(tracer, event as StatementEvent) }],
    ['tandem:tx', event => { traceTransaction(tracer, event as TxEvent) }],
    ['tandem:pool', event => { noteOnSpan('tandem.pool', { 'tandem.what': (event as PoolEvent).what }) }],
    ['tandem:memory', event => { noteOnSpan('tandem.memory', { 'tandem.what': (event as MemoryEvent).what }) }]
  ]
  for (const [channel, listener] of listeners) subscribe(channel, listener)
  return () => { for (const [channel, listener] of listeners) unsubscribe(channel, listener) }
}

/** A statement that has ended, as a child of the span that is active for its caller. */
function traceStatement (tracer: Tracer, { engine, sql, place, outcome, durationMs = 0 }: StatementEvent): void {
  const summary = summaryOf(sql)
  span(tracer, summary, SpanKind.CLIENT, durationMs, outcome === 'ok' ? undefined : outcome, {
    'db.system.name': engine === 'sqlite' ? 'sqlite' : 'postgresql',
    'db.query.text': redact(sql),
    'db.query.summary': summary,
    'db.operation.name': operationOf(sql),
    ...place === undefined ? {} : { 'tandem.place': place }
  })
}

function traceTransaction (tracer: Tracer, { outcome, mode, durationMs, statements, retries, route, method }: TxEvent): void {
  if (outcome === 'none') return // it had no statement
  span(tracer, 'transaction', SpanKind.INTERNAL, durationMs, outcome === 'unknown' ? outcome : undefined, {
    'tandem.tx.outcome': outcome,
    'tandem.tx.mode': mode,
    'tandem.tx.statements': statements,
    'tandem.tx.retries': retries,
    ...route === undefined ? {} : { 'http.route': route },
    ...method === undefined ? {} : { 'http.request.method': method }
  })
}

/** It ends now. */
function span (tracer: Tracer, name: string, kind: SpanKind, durationMs: number, error: string | undefined, attributes: Attributes): void {
  const endTime = Date.now()
  const made = tracer.startSpan(name, { kind, startTime: endTime - durationMs, attributes }, context.active())
  if (error !== undefined) made.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR })
  made.end(endTime)
}

/** Connections and memory are nobody's work alone: an event on the span in which it happened, if there is one. */
function noteOnSpan (name: string, attributes: Attributes): void {
  trace.getActiveSpan()?.addEvent(name, attributes)
}
