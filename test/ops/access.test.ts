/** Nothing but health is reached by those who are not let in. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import ops, { type OpsPluginOptions } from '../../plugins/ops/index.ts'
import tx from '../../plugins/tx/index.ts'
import { startPlugins } from '../helper/app.ts'

const token = 'a token that nobody guesses'.replaceAll(' ', '-')
const bearer = { authorization: `Bearer ${token}` }

interface Seen { app: FastifyInstance, routes: Array<{ method: string, url: string }> }

/** The routes that the plugin adds. */
async function startOps (t: Test, options: OpsPluginOptions): Promise<Seen> {
  const app = await startPlugins(t, 'sqlite')
  const routes: Seen['routes'] = []
  const note = ({ method, url }: RouteOptions): void => { for (const one of [method].flat()) routes.push({ method: one, url: url.replace(':id', 'some-id') }) }
  app.addHook('onRoute', note)
  await app.register(tx)
  await app.register(ops, options)
  return { app, routes }
}

const guarded = ({ routes }: Seen): Seen['routes'] => routes.filter(({ url }) => !url.startsWith('/ops/health/'))
const ask = async (app: FastifyInstance, { method, url }: Seen['routes'][number], headers: Record<string, string> = {}): Promise<number> =>
  await new Promise((resolve, reject) => {
    // a stream of events has no end of its own
    app.inject({ method: method as 'GET', url, headers, payloadAsStream: true }).then(answer => {
      answer.stream().on('error', () => {}).destroy()
      resolve(answer.statusCode)
    }, reject)
  })

void t.test('without a token and a hook there is only health', async t => {
  const seen = await startOps(t, {})
  t.strictSame(guarded(seen), [])
  t.strictSame(seen.routes.filter(({ method }) => method === 'GET').map(({ url }) => url), ['/ops/health/live', '/ops/health/ready'])
  t.equal(await ask(seen.app, { method: 'GET', url: '/ops/metrics' }, bearer), 404)
})

void t.test('with a token each route is shut to those who do not send it', async t => {
  const seen = await startOps(t, { token })
  t.ok(guarded(seen).length >= 6, 'there are routes')
  for (const route of guarded(seen)) {
    const name = `${route.method} ${route.url}`
    t.equal(await ask(seen.app, route), 401, `${name} without`)
    t.equal(await ask(seen.app, route, { accept: 'text/html' }), 401, `${name} of a browser`)
    for (const wrong of [`Bearer ${token}x`, `Bearer ${token.slice(1)}`, 'Bearer ', `Basic ${token}`, token]) t.equal(await ask(seen.app, route, { authorization: wrong }), 401, `${name} with ${wrong}`)
    t.equal(await ask(seen.app, route, { cookie: `tandem_ops=9999999999.${'0'.repeat(64)}` }), 401, `${name} with a made-up cookie`)
    if (route.url !== '/ops/login') t.notOk([401, 403].includes(await ask(seen.app, route, bearer)), `${name} with the token`)
  }
  for (const url of ['/ops/health/live', '/ops/health/ready']) t.equal(await ask(seen.app, { method: 'GET', url }), 200, url)
  t.equal((await seen.app.inject('/ops/metrics')).headers['www-authenticate'], 'Bearer realm="ops"')
})

void t.test('a browser gets a form, and for the token a cookie that does not hold it', async t => {
  const { app } = await startOps(t, { token })
  const form = await app.inject({ url: '/ops/metrics', headers: { accept: 'text/html' } })
  t.match(form.body, /<form method="post" action="\/ops\/login">/)
  t.match(form.headers['content-security-policy'], /default-src 'none'/)
  const login = async (text: string) => await app.inject({ method: 'POST', url: '/ops/login', payload: new URLSearchParams({ token: text }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  const wrong = await login('something else')
  t.equal(wrong.statusCode, 401)
  t.match(wrong.body, /That is not the token/)
  t.equal(wrong.headers['set-cookie'], undefined)
  const right = await login(token)
  t.match({ code: right.statusCode, to: right.headers.location }, { code: 303, to: '/ops' })
  const set = String(right.headers['set-cookie'])
  t.match(set, /^tandem_ops=\d+\.[\da-f]{64}; Path=\/ops; Max-Age=43200; HttpOnly; SameSite=Strict$/)
  t.notMatch(set, token)
  const cookie = set.split(';')[0] ?? ''
  t.equal(await ask(app, { method: 'GET', url: '/ops/metrics' }, { cookie: `a=b; ${cookie}` }), 200)
  t.equal(await ask(app, { method: 'GET', url: '/ops/metrics' }, { cookie: cookie.replace(/=\d+/, '=9999999999') }), 401, 'it cannot be made to last')
  t.equal(await ask(app, { method: 'GET', url: '/ops/metrics' }, { cookie: cookie.replace(/=\d+/, '=1') }), 401, 'and it ends')
  await t.test('a change by cookie comes from our own page', async t => {
    const route = { method: 'DELETE', url: '/ops/statements/some-id' }
    const change = async (headers: Record<string, string>): Promise<number> => await ask(app, route, { cookie, host: 'db.example.org', ...headers })
    t.equal(await change({}), 403)
    t.equal(await change({ 'x-ops': '1', origin: 'https://evil.example.org' }), 403)
    t.equal(await change({ 'x-ops': '1', origin: 'null' }), 403)
    t.equal(await change({ 'x-ops': '1', origin: 'https://db.example.org', 'sec-fetch-site': 'same-site' }), 403)
    t.equal(await change({ origin: 'https://db.example.org' }), 403)
    t.equal(await change({ 'x-ops': '1', origin: 'https://db.example.org' }), 404)
    t.equal(await change({ 'x-ops': '1', 'sec-fetch-site': 'same-origin' }), 404)
  })
  t.match((await app.inject({ method: 'POST', url: '/ops/logout', headers: { cookie, 'x-ops': '1' } })).headers['set-cookie'], /^tandem_ops=; .*Max-Age=0/)
})

void t.test('a hook of the app\'s own', async t => {
  const seen = await startOps(t, { access: async request => request.headers['x-role'] === 'operator' })
  for (const route of guarded(seen)) {
    t.equal(await ask(seen.app, route), 403, `${route.method} ${route.url}`)
    t.equal(await ask(seen.app, route, bearer), 403)
    t.equal(await ask(seen.app, route, { 'x-role': 'guest', 'x-ops': '1' }), 403)
    t.not(await ask(seen.app, route, { 'x-role': 'operator', 'x-ops': '1' }), 403)
  }
  t.equal(await ask(seen.app, { method: 'DELETE', url: '/ops/statements/x' }, { 'x-role': 'operator' }), 403, 'a change needs the header')
})

void t.test('a hook that fails or answers by itself lets nobody in', async t => {
  const failing = await startOps(t, { access: () => { throw new Error('no') } })
  t.equal(await ask(failing.app, { method: 'GET', url: '/ops/metrics' }), 500)
  const answering = await startOps(t, { access: async (_request, reply) => { await reply.code(302).header('location', '/login').send(); return false } })
  t.equal(await ask(answering.app, { method: 'GET', url: '/ops/metrics' }), 302)
})

void t.test('a token that could be guessed is refused at the start', async t => {
  const app = await startPlugins(t, 'sqlite')
  await t.rejects(async () => { await app.register(ops, { token: 'short' }) }, { code: 'TDM_ERR_OPS_OPTIONS', message: /5 characters/ })
})

void t.test('on an address of its own, and not on the app\'s', async t => {
  const seen = await startOps(t, { token, address: { port: 0 } })
  const { app } = seen
  t.strictSame(guarded(seen), [])
  const own = app.ops.server
  if (own === undefined) throw new Error('there is no server of its own')
  app.get('/of-the-app', async () => 'hello')
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const ownUrl = own.listeningOrigin
  t.match(ownUrl, /^http:\/\/127\.0\.0\.1:\d+$/)
  const status = async (to: string, headers: Record<string, string> = {}): Promise<number> => (await fetch(to, { headers })).status
  t.equal(await status(`${url}/ops/metrics`, bearer), 404)
  t.equal(await status(`${url}/ops/health/ready`), 200)
  t.equal(await status(`${ownUrl}/ops/health/ready`), 200)
  t.equal(await status(`${ownUrl}/ops/metrics`), 401)
  t.equal(await status(`${ownUrl}/ops/metrics`, bearer), 200)
  t.equal(await status(`${ownUrl}/of-the-app`, bearer), 404)
  await app.close()
  await t.rejects(fetch(`${ownUrl}/ops/health/live`), 'it ends with the app')
})

void t.test('where the app has its own parser of forms', async t => {
  const app = await startPlugins(t, 'sqlite')
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, async () => 'of the app')
  app.post('/form', async request => request.body)
  await app.register(ops, { token })
  const post = async (url: string) => await app.inject({ method: 'POST', url, payload: `token=${token}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  t.equal((await post('/ops/login')).statusCode, 303)
  t.equal((await post('/form')).body, 'of the app')
})
