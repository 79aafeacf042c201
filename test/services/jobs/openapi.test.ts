// The OpenAPI document: every route is in it, and what it gives as an example is accepted.
import t, { type Test } from 'tap'
import { readFileSync } from 'node:fs'
import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import config from '../../../plugins/config/index.ts'
import db from '../../../plugins/db/index.ts'
import tx from '../../../plugins/tx/index.ts'
import jobs from '../../../services/jobs/index.ts'
import { jobMigrations } from '../../../services/jobs/migrations/index.ts'
import { freshUrl } from '../../helper/db.ts'
import { root } from '../../helper/paths.ts'

interface Media { schema: object, example?: unknown, examples?: Record<string, { value: unknown }> }
interface Parameter { name: string, in: 'query' | 'path', required?: boolean, schema: object, example?: unknown, examples?: Record<string, { value: unknown }>, description?: string }
interface Operation {
  operationId: string
  summary: string
  parameters?: Parameter[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { content?: Record<string, Media> }>
}
interface Document { openapi: string, paths: Record<string, Record<string, Operation>> }

async function open (t: Test): Promise<{ app: FastifyInstance, routes: string[], document: Document }> {
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } })
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: await freshUrl(t, 'sqlite') } })
  await app.register(db, { migrations: [jobMigrations] })
  await app.register(tx)
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }: RouteOptions) => { routes.push(...[method].flat().map(one => `${one} ${url}`)) })
  await app.register(jobs)
  await app.ready()
  const document = (await app.inject({ url: '/docs/json' })).json<Document>()
  return { app, routes, document }
}

function operationsOf ({ paths }: Document): Array<Operation & { method: string, path: string }> {
  return Object.entries(paths).flatMap(([path, operations]) => Object.entries(operations).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })))
}

const examplesOf = ({ example, examples }: Pick<Media, 'example' | 'examples'>): unknown[] => example === undefined ? Object.values(examples ?? {}).map(({ value }) => value) : [example]

void t.test('every route of the service is in the document, described', async t => {
  const { app, routes, document } = await open(t)
  const documented = operationsOf(document).map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
  const served = routes.filter(route => !route.startsWith('HEAD') && !/ \/docs(?:\/|$)/.test(route))
  t.ok(served.length > 3)
  t.strictSame(documented.sort(), served.sort())
  t.match(document.openapi, /^3\.1/)
  t.match((await app.inject('/docs')).body + (await app.inject('/docs/')).body, /swagger/i, 'and there is a page')
  const ids = operationsOf(document).map(({ operationId }) => operationId)
  t.equal(new Set(ids).size, ids.length, 'each has a name of its own')
  for (const { method, path, summary, parameters = [], responses } of operationsOf(document)) {
    t.ok(summary.length > 5, `${method} ${path}`)
    const statuses = Object.keys(responses)
    t.ok(statuses.some(status => status.startsWith('2')))
    for (const status of ['4XX', '5XX']) t.match(responses[status]?.content?.['application/json']?.schema, { properties: { statusCode: {}, code: {}, error: {}, message: {} } }, `${method} ${path} ${status}`)
    t.strictSame(parameters.filter(({ description = '', schema }) => description === '' && !('anyOf' in schema || 'enum' in schema)).map(({ name }) => name), [], `${method} ${path}: each parameter is described`)
  }
})

void t.test('docs/jobs.md lists the same routes', async t => {
  const { document } = await open(t)
  const markdown = readFileSync(new URL('docs/jobs.md', root), 'utf8')
  const listed = [...markdown.matchAll(/^\| ((?:`[A-Z]+ \/[^`]*`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, route]) => route))
  t.strictSame(listed.sort(), operationsOf(document).map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`).sort())
})

void t.test('what is given as an example is accepted', async t => {
  const { app, document } = await open(t)
  for (const { method, path, parameters = [], requestBody } of operationsOf(document)) {
    const url = parameters.filter(parameter => parameter.in === 'path').reduce((url, parameter) => url.replace(`{${parameter.name}}`, String(examplesOf(parameter)[0])), path)
    t.notMatch(url, /[{]|undefined/, `${path}: its path has examples`)
    const inQuery = parameters.filter(parameter => parameter.in === 'query')
    const required = Object.fromEntries(inQuery.filter(parameter => parameter.required === true).map(parameter => [parameter.name, examplesOf(parameter)[0]]))
    const bodies = Object.values(requestBody?.content ?? {}).flatMap(examplesOf)
    t.ok(requestBody === undefined || bodies.length > 0, `${method} ${path}: its body has an example`)
    const send = async (query: Record<string, unknown>, body?: unknown): Promise<void> => {
      const response = await app.inject({ method: method as 'GET', url, query: query as Record<string, string>, ...(body === undefined ? {} : { payload: body as object }) })
      const { code } = response.headers['content-type']?.toString().includes('json') === true ? response.json<{ code?: string }>() : {}
      t.notMatch(code ?? '', /FST_|BAD_INPUT/, `${method} ${path} ${JSON.stringify({ query, body })}: ${response.body.slice(0, 300)}`)
      t.ok(response.statusCode < 500, `${response.statusCode} ${response.body.slice(0, 300)}`)
    }
    for (const body of bodies) await send(required, body)
    if (bodies.length === 0) await send(required)
    for (const parameter of inQuery) for (const example of examplesOf(parameter)) await send({ ...required, [parameter.name]: example }, bodies[0])
  }
})
