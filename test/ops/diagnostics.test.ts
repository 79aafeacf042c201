/** What is told on diagnostics channels: as documented, and as spans. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { context, trace, type Tracer } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import t, { type Test } from 'tap'
import type * as Example from '../../examples/opentelemetry/trace.ts'
import { startPlugins } from '../helper/app.ts'
import { engines } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { makeProject } from '../helper/project.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

const example = makeProject(t, 'examples/opentelemetry', ['@opentelemetry/api'])
const { traceDatabase } = await import(pathToFileURL(join(example, 'trace.ts')).href) as typeof Example

function startTracing (t: Test): { tracer: Tracer, exporter: InMemorySpanExporter, stop: () => void } {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const tracer = provider.getTracer('test')
  const stop = traceDatabase(tracer)
  t.teardown(async () => { stop(); await provider.shutdown() })
  return { tracer, exporter, stop }
}

void t.test('docs/diagnostics.md has every channel, and every field of what is told there', async t => {
  const source = read('plugins/db/events.ts')
  const docs = read('docs/diagnostics.md')
  const channels = [...source.matchAll(/channel\('(.+?)'\)/g)].map(([, name]) => name)
  t.strictSame([...docs.matchAll(/^\| `(tandem:\w+)` \|/gm)].map(([, name]) => name).sort(), channels.sort())
  const events = [...source.matchAll(/^export interface (\w+Event) \{([\s\S]*?)^\}/gm)]
  t.equal(events.length, channels.length)
  for (const [, name = '', body = ''] of events) {
    const fields = [...body.matchAll(/readonly (\w+)[?]?:/g)].map(([, field]) => field)
    const [, table = ''] = new RegExp(`^## ${name}\\n([\\s\\S]*?)(?=^## |(?![\\s\\S]))`, 'm').exec(docs) ?? []
    t.strictSame([...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field), fields, name)
  }
})

for (const engine of engines) {
  void t.test(`${engine}: spans by the conventions for databases`, async t => {
    const { db } = await startPlugins(t, engine)
    await db.exec('CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT UNIQUE)')
    const { exporter, stop } = startTracing(t)
    const before = Date.now()
    await db.tx(async tx => { await tx.prepare('INSERT INTO job (id, state) VALUES (?, \'secret\')').run(4711) })
    await db.prepare('SELECT id FROM job WHERE state = \'secret\' AND id <> :id').all({ id: 4711 })
    await t.rejects(db.prepare('INSERT INTO job (id, state) VALUES (1, ?)').run('secret'), { code: /UNIQUE/ })
    stop()
    await db.prepare('SELECT 1 AS nobody_listens').get()
    const spans = exporter.getFinishedSpans()
    const system = engine === 'sqlite' ? 'sqlite' : 'postgresql'
    t.match(spans.find(({ name }) => name === 'SELECT job'), {
      kind: 2,
      status: { code: 0 },
      attributes: {
        'db.system.name': system, 'db.query.text': 'SELECT id FROM job WHERE state = ? AND id <> :id', 'db.query.summary': 'SELECT job', 'db.operation.name': 'SELECT', 'tandem.place': /^(?:inline|lane|apart)$/
      }
    })
    const [inserted, failed] = spans.filter(({ name }) => name === 'INSERT job')
    t.strictSame(inserted?.attributes['error.type'], undefined)
    t.match(failed, { status: { code: 2 }, attributes: { 'error.type': 'unique', 'db.system.name': system, 'db.query.text': 'INSERT INTO job (id, state) VALUES (?, ?)' } })
    t.match(spans.find(({ name }) => name === 'transaction'), { kind: 0, attributes: { 'tandem.tx.outcome': 'committed', 'tandem.tx.mode': 'write', 'tandem.tx.statements': 1 } })
    const [seconds = 0] = inserted?.startTime ?? []
    t.ok(seconds >= Math.floor(before / 1000) - 1, 'it began when it was called for')
    t.notMatch(JSON.stringify(spans.map(({ name, attributes }) => ({ name, attributes }))), /secret|4711|nobody/)
  })
}

void t.test('spans are children of the span that is active', async t => {
  const { tracer, exporter } = startTracing(t)
  const parent = tracer.startSpan('request')
  // no context manager is registered here; the one that the SDK registers for an app follows asynchronous calls
  const active = trace.setSpan(context.active(), parent)
  context.setGlobalContextManager({ active: () => active, with: (_context, fn, self, ...args) => fn.call(self as ThisParameterType<typeof fn>, ...args), bind: (_context, target) => target, enable () { return this }, disable () { return this } })
  t.teardown(() => { context.disable() })
  const { db } = await startPlugins(t, 'postgres')
  await db.prepare('SELECT 1 AS one').get()
  parent.end()
  const spans = exporter.getFinishedSpans()
  t.equal(spans.find(({ name }) => name === 'SELECT')?.parentSpanContext?.spanId, parent.spanContext().spanId)
  t.ok(spans.find(({ name }) => name === 'request')?.events.some(({ name }) => name === 'tandem.pool'), 'a connection was opened')
})
