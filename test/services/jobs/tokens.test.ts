// API tokens: who gets in, what each role may, and that a revoked token is refused soon.
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { join } from 'node:path'
import type { Job } from '../../../services/jobs/schema.ts'
import { TokenCache } from '../../../services/jobs/token-cache.ts'
import { createToken, findToken, hasTokens, listTokens, requireTokens, revokeToken } from '../../../services/jobs/tokens.ts'
import { makeJobs, NOW, writeJobDb } from '../../data/jobs.ts'
import { collectLog, engines, freshFolder, openUrl } from '../../helper/db.ts'
import { openEmpty } from './databases.ts'
import { bearer, openService, openWith } from './service.ts'

const data = makeJobs(60, 8)

interface Answer { status: number, code: string | undefined, challenge: unknown, users: string[] }

async function ask (app: FastifyInstance, headers: Record<string, string>, options: { url?: string, remoteAddress?: string } = {}): Promise<Answer> {
  const response = await app.inject({ url: '/api/jobs?limit=1000', headers, ...options })
  const body = response.json<{ code?: string, jobs?: Job[] }>()
  return { status: response.statusCode, code: body.code, challenge: response.headers['www-authenticate'], users: [...new Set(body.jobs?.map(job => job.user))].sort() }
}

for (const engine of engines) {
  void t.test(`a token is found by what it is, and kept as its hash alone, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    t.equal(await hasTokens(db), false)
    const { id, token } = await createToken(db, { username: 'ann', roles: ['manager', 'api'], projects: ['P1', 'it\'s'], name: 'for scripts', expires: NOW + 10 }, NOW)
    t.match(token, /^[\w-]{43}$/)
    t.equal(Buffer.from(token, 'base64url').length, 32)
    const expected = { id, name: 'for scripts', user: { username: 'ann', roles: ['manager', 'api'], projects: ['P1', 'it\'s'] }, created: NOW, expires: NOW + 10, lastUsed: undefined }
    t.strictSame(await findToken(db, token, NOW), expected)
    t.strictSame(await listTokens(db), [expected])
    t.equal(await findToken(db, token, NOW + 10), undefined, 'it has expired')
    t.equal(await findToken(db, token.slice(1) + 'A', NOW), undefined)
    t.notMatch(JSON.stringify(await db.prepare('SELECT * FROM api_token').all()), token)
    t.equal(await hasTokens(db), true)
    t.equal(await revokeToken(db, id + 1), false)
    t.equal(await revokeToken(db, id), true)
    t.equal(await findToken(db, token, NOW), undefined)
  })

  void t.test(`each role sees what it may, from anywhere, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    const everybody = [...new Set(data.jobs.map(job => job.hpc_user))].sort()
    const ofProject = [...new Set(data.jobs.filter(job => job.project === 'Project1').map(job => job.hpc_user))].sort()
    const remoteAddress = '10.0.0.7'
    t.match(await ask(app, await bearer(app, ['api']), { remoteAddress }), { status: 200, users: everybody })
    t.match(await ask(app, await bearer(app, ['admin']), { remoteAddress }), { status: 200, users: everybody })
    t.match(await ask(app, await bearer(app, ['support']), { remoteAddress }), { status: 200, users: everybody })
    t.match(await ask(app, await bearer(app, ['manager'], 'nobody', ['Project1']), { remoteAddress }), { status: 200, users: ofProject })
    t.match(await ask(app, await bearer(app, ['user'], 'user00'), { remoteAddress }), { status: 200, users: ['user00'] })
    t.match(await ask(app, await bearer(app, ['user', 'api'], 'user00'), { remoteAddress }), { status: 200, users: ['user00'] }, 'not api alone')
    t.match(await ask(app, await bearer(app, []), { remoteAddress }), { status: 403, code: 'TDM_ERR_JOBS_FORBIDDEN_ROLE' })
  })

  void t.test(`with any token, nobody gets in without one, on ${engine}`, async t => {
    let now = NOW
    const app = await openWith(t, engine, data, { options: { now: () => now } })
    t.match(await ask(app, {}), { status: 200 }, 'as long as there is none')
    const { authorization } = await bearer(app, ['api'])
    now += 5
    t.match(await ask(app, {}), { status: 401, code: 'TDM_ERR_JOBS_UNAUTHENTICATED', challenge: 'Bearer realm="jobs"' })
    t.match(await ask(app, { authorization }), { status: 200 })
    t.match(await ask(app, { authorization: authorization.replace('Bearer', 'bearer') }), { status: 200 })
    const wrong = ['Bearer', 'Bearer x', `Bearer ${'A'.repeat(43)}`, `Bearer ${'\''.repeat(43)}`, `Basic ${authorization.slice(7)}`, authorization.slice(7), `${authorization}A`, authorization.slice(0, -1)]
    for (const header of wrong) {
      t.match(await ask(app, { authorization: header }), { status: 401, code: 'TDM_ERR_JOBS_BAD_TOKEN', challenge: /error="invalid_token"/ }, header)
    }
    t.equal((await app.inject({ url: '/docs/json' })).statusCode, 200, 'the document says nothing about jobs')
  })

  void t.test(`a revoked token is refused within five seconds, one that expires at once, on ${engine}`, async t => {
    let now = NOW
    const app = await openWith(t, engine, data, { options: { now: () => now } })
    const kept = await bearer(app, ['api'])
    const { id, token } = await createToken(app.db, { username: 'ann', roles: ['admin'] }, now)
    const { token: short } = await createToken(app.db, { username: 'ann', roles: ['admin'], expires: now + 2 }, now)
    t.match(await ask(app, { authorization: `Bearer ${token}` }), { status: 200 })
    t.match(await ask(app, { authorization: `Bearer ${short}` }), { status: 200 })
    await revokeToken(app.db, id)
    now += 2
    t.match(await ask(app, { authorization: `Bearer ${short}` }), { status: 401 })
    now += 3
    t.match(await ask(app, { authorization: `Bearer ${token}` }), { status: 401, code: 'TDM_ERR_JOBS_BAD_TOKEN' })
    t.match(await ask(app, kept), { status: 200 })
  })

  void t.test(`the day of the last use is noted, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    let now = NOW
    const { token } = await createToken(db, { username: 'ann', roles: ['api'] }, now)
    const cache = new TokenCache({ db, log: collectLog(), now: () => now })
    const lastUsed = async (): Promise<string | undefined> => (await listTokens(db))[0]?.lastUsed
    for (const day of ['2023-11-14', '2023-11-15']) {
      await cache.find(token)
      while (await lastUsed() !== day) await new Promise(resolve => { setImmediate(resolve) })
      now += 86400
    }
    t.pass('it is')
  })

  void t.test(`look-ups are kept, shared and bounded, on ${engine}`, async t => {
    const db = await openEmpty(t, engine)
    let now = NOW
    const { id, token } = await createToken(db, { username: 'ann', roles: ['api'] }, now)
    const cache = new TokenCache({ db, log: collectLog(), now: () => now })
    const found = await Promise.all([cache.find(token), cache.find(token), cache.find(token)])
    t.ok(found.every(one => one?.id === id && one === found[0]), 'one look-up for all three')
    t.ok(cache.has(token))
    await revokeToken(db, id)
    t.equal((await cache.find(token))?.id, id, 'still kept')
    now += 4
    t.notOk(cache.has(token))
    t.equal(await cache.find(token), undefined)
    for (let i = 0; i < 2100; i++) await cache.find(`other ${i}`)
    t.notOk(cache.has(token), 'it had to go')
  })
}

void t.test('a look-up that fails is not kept', async t => {
  const db = await openEmpty(t, 'sqlite')
  const { token } = await createToken(db, { username: 'ann', roles: ['api'] }, NOW)
  const cache = new TokenCache({ db, log: collectLog(), now: () => NOW })
  await db.exec('ALTER TABLE api_token RENAME TO away')
  await t.rejects(cache.find(token), { code: 'TDM_ERR_DB_SYNTAX' })
  await t.rejects(cache.hasSome(), { code: 'TDM_ERR_DB_SYNTAX' })
  await db.exec('ALTER TABLE away RENAME TO api_token')
  t.ok(await cache.find(token))
  t.equal(await cache.hasSome(), true)
})

void t.test('a database of cc-backend keeps no tokens: this machine only', async t => {
  const path = join(freshFolder(t), 'job.db')
  writeJobDb(path, data)
  const logged: object[] = []
  const app = await openService(t, `sqlite:${path}`, { logged })
  t.match(logged, [{ msg: /belongs to cc-backend and keeps no API tokens/ }])
  t.match(await ask(app, {}), { status: 200 })
  t.match(await ask(app, {}, { remoteAddress: '10.0.0.1' }), { status: 401 })
  t.match(await ask(app, { authorization: `Bearer ${'A'.repeat(43)}` }), { status: 401, code: 'TDM_ERR_JOBS_BAD_TOKEN' })
  await t.rejects(requireTokens(await openUrl(t, `sqlite:${path}`)), { code: 'TDM_ERR_JOBS_NO_TOKENS' })
})

void t.test('a name that was made to point at this machine is not this machine', async t => {
  const app = await openWith(t, 'sqlite', data)
  for (const host of ['localhost', 'localhost:3000', '127.0.0.1:3000', '[::1]:3000', 'jobs.localhost']) t.match(await ask(app, { host }), { status: 200 }, host)
  for (const host of ['evil.example', 'evil.example:3000', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1']) t.match(await ask(app, { host }), { status: 401 }, host)
})
