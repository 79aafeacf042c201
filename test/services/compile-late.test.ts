/** What is compiled late can be compiled: a start does not find out any more. And it answers as what Fastify compiles itself. */
import ajvCompiler from '@fastify/ajv-compiler'
import serializerCompiler from '@fastify/fast-json-stringify-compiler'
import Fastify, { type FastifyInstance, type FastifySchema } from 'fastify'
import t from 'tap'
import application from '../../app.ts'
import { compileLate } from '../../services/common/compile-late.ts'
import { freshUrl } from '../helper/db.ts'

void t.test('every schema of every route can be compiled', async t => {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const routes = new Map<string, FastifySchema>()
  app.addHook('onRoute', ({ method, url, schema }) => { if (schema !== undefined && method !== 'HEAD') routes.set(`${String(method)} ${url}`, schema) })
  await app.register(application, { env: { DATABASE_URL: await freshUrl(t, 'sqlite') } })
  await app.ready()
  t.ok(routes.size > 80)
  const validator = ajvCompiler()({}, { customOptions: {} })
  const serializer = serializerCompiler()({})
  for (const [route, { body, querystring, params, headers, response = {} }] of routes) {
    t.doesNotThrow(() => { for (const schema of [body, querystring, params, headers]) if (isSchema(schema)) validator({ schema }) }, route)
    t.doesNotThrow(() => { for (const schema of Object.values(response as object)) if (isSchema(schema)) serializer({ schema, method: '', url: '', httpStatus: '' }) }, route)
  }
})

void t.test('validated late is validated as Fastify does it', async t => {
  const bodies = [{ n: '1', more: 1 }, { n: 'x' }, {}, [], null, 'text', { n: 2, list: '3' }]
  const answers = await Promise.all([() => {}, compileLate].map(async prepare => {
    const app = echo(prepare)
    t.teardown(async () => { await app.close() })
    const got = []
    for (const body of bodies) got.push(await app.inject({ method: 'POST', url: '/?q=7&r=8', headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) }))
    got.push(await app.inject({ method: 'GET', url: '/list?q=x' }), await app.inject({ method: 'POST', url: '/list', payload: { n: 1 } }))
    return got.map(({ statusCode, body }) => `${statusCode} ${body}`)
  }))
  t.strictSame(answers[1], answers[0])
  t.match(answers[1]?.join('\n'), /^200 \{"n":1\}/)
})

/** Answers what came through: coerced, with what it does not know taken away, and no more than its answer has. */
function echo (prepare: (app: FastifyInstance) => void): FastifyInstance {
  const app = Fastify()
  prepare(app)
  const object = { type: 'object', additionalProperties: false, required: ['n'], properties: { n: { type: 'integer' }, list: { type: 'array', items: { type: 'integer' } } } }
  const query = { type: 'object', properties: { q: { type: 'integer' } } }
  const response = { 200: { type: 'object', properties: { n: { type: 'integer' }, list: { type: 'array' } } } }
  app.post('/', { schema: { body: object, querystring: query, response } }, async ({ body }) => body)
  app.get('/list', { schema: { querystring: query } }, async ({ query }) => query)
  app.post('/list', { schema: { body: { type: 'array', items: object } } }, async ({ body }) => body)
  return app
}

function isSchema (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
