/** Signing in, sessions and accounts, by the provider for trying, which checks what a real one checks. */
import t from 'tap'
import { IDLE_MS, LONGEST_MS } from '../../../services/auth/sessions.ts'
import { isOwnPath } from '../../../services/auth/routes/sign-in.ts'
import { readers } from '../../../services/auth/profile.ts'
import { engines } from '../../helper/db.ts'
import { whileRefused } from './failing.ts'
import { startWorld, type Person, type World } from './world.ts'

/** The cookies of one browser. */
class Browser {
  readonly #world: World
  readonly cookies = new Map<string, string>()

  constructor (world: World) {
    this.#world = world
  }

  /** `url`: a path, or whole. Follows no redirects. */
  async get (url: string, headers: Record<string, string> = {}) {
    const { pathname, search } = new URL(url, 'http://localhost')
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await this.#world.app.inject({ url: `${pathname}${search}`, headers: { ...(cookie && { cookie }), ...headers } })
    for (const { name, value } of answer.cookies) {
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return { status: answer.statusCode, location: String(answer.headers.location ?? ''), text: answer.body }
  }

  /** To the provider, and back as this person; answers where that leads. */
  async signIn (as: string, returnTo = '/app'): Promise<string> {
    return (await this.get(await this.authorize(as, returnTo))).location
  }

  /** The address of the callback, with its code. */
  async authorize (as: string, returnTo = '/app'): Promise<string> {
    const { location } = await this.get(`/api/v1/auth/mock/start?returnTo=${encodeURIComponent(returnTo)}`)
    return (await this.get(`${location}&as=${as}`)).location
  }

  /** Who is signed in. */
  async me () {
    return await this.#world.ask<{ user: { id: string, displayName: string, isOperator: boolean }, identities: Array<{ provider: string }>, csrfToken: string, memberships: object[] }>('GET', '/auth/me', { by: await this.person('') })
  }

  async person (csrfToken: string): Promise<Person> {
    return { userId: '', name: '', headers: { cookie: `vault_sid=${this.cookies.get('vault_sid')}`, 'x-csrf-token': csrfToken, origin: 'http://localhost:80' } }
  }
}

for (const engine of engines) {
  void t.test(`signing in, on ${engine}`, async t => {
    const world = await startWorld(t, engine)

    await t.test('leads to the provider and back to where one was', async t => {
      const browser = new Browser(world)
      t.match((await world.ask('GET', '/auth/providers')).body, [{ id: 'mock', mock: true }])
      const { location, status } = await browser.get('/api/v1/auth/mock/start?returnTo=/join/BCDF-GHJK')
      t.equal(status, 302)
      t.match(location, /^http:\/\/localhost:80\/api\/v1\/auth\/mock\/authorize\?.*code_challenge_method=S256/)
      t.match((await browser.get(location)).text, /Ann[^]*Operator/)
      const back = await browser.get(`${location}&as=ann`)
      const landed = await browser.get(back.location)
      t.equal(landed.location, '/join/BCDF-GHJK')
      t.match((await browser.me()).body, { user: { displayName: 'Ann', isOperator: false }, identities: [{ provider: 'mock' }], memberships: [] })
      const again = new Browser(world)
      await again.signIn('ann')
      t.equal((await again.me()).body.user.id, (await browser.me()).body.user.id, 'the same person')
      const operator = new Browser(world)
      await operator.signIn('operator')
      t.match((await operator.me()).body, { user: { isOperator: true } })
    })

    await t.test('fails with a reason, and never with a failure of the server', async t => {
      const browser = new Browser(world)
      t.equal((await browser.get('/api/v1/auth/mock/callback?error=access_denied&state=x')).location, '/?login=failed&reason=denied')
      t.equal((await browser.get('/api/v1/auth/mock/callback')).location, '/?login=failed&reason=state')
      t.equal((await browser.get('/api/v1/auth/mock/callback?code=x&state=forged')).location, '/?login=failed&reason=state')
      const callback = await browser.authorize('ben')
      t.equal((await new Browser(world).get(callback)).location, '/?login=failed&reason=state', 'the address of somebody else')
      const stolen = new Browser(world)
      stolen.cookies.set('vault_state_mock', new URL(callback).searchParams.get('state') ?? '')
      stolen.cookies.set('vault_verifier_mock', 'another')
      t.equal((await stolen.get(callback)).location, '/?login=failed&reason=exchange', 'another verifier')
      t.equal((await browser.get(callback)).location, '/?login=failed&reason=exchange', 'and with that the code is used')
      const late = await browser.authorize('ben')
      world.clock.now += 61_000
      t.equal((await browser.get(late)).location, '/?login=failed&reason=exchange', 'a code is valid for a minute')
      t.notOk(browser.cookies.has('vault_sid'))
      t.equal((await browser.get('/api/v1/auth/nothing/start')).status, 404)
      for (const path of ['https://example.org', '//example.org', '/\\example.org', '/a\nb', 'app']) {
        t.equal((await browser.get(`/api/v1/auth/mock/start?returnTo=${encodeURIComponent(path)}`)).status, 400, path)
        t.notOk(isOwnPath(path))
      }
      t.equal((await browser.get('/api/v1/auth/mock/start', { host: 'evil.example.org' })).status, 503, 'nobody knows where it is reached')
      t.equal((await browser.get('/api/v1/auth/mock/userinfo', { host: 'evil.example.org' })).status, 404, 'and the test persons are for this machine')
    })

    await t.test('twice at the same time makes one person', async t => {
      const before = await world.db.prepare('SELECT COUNT(*) AS count FROM users').get()
      const browsers = Array.from({ length: 6 }, () => new Browser(world))
      const callbacks = await Promise.all(browsers.map(async browser => await browser.authorize('cleo')))
      await Promise.all(browsers.map(async (browser, i) => await browser.get(callbacks[i] ?? '')))
      const ids = await Promise.all(browsers.map(async browser => (await browser.me()).body.user.id))
      t.equal(new Set(ids).size, 1)
      t.equal((await world.db.prepare('SELECT COUNT(*) AS count FROM users').get())?.count, Number(before?.count) + 1, 'and no orphan')
    })

    await t.test('nothing is left of a sign-in that fails in the middle', async t => {
      const users = async () => await world.db.prepare('SELECT (SELECT COUNT(*) FROM users) AS users, (SELECT COUNT(*) FROM identities) AS identities').get()
      const before = await users()
      const browser = new Browser(world)
      await whileRefused(world.db, 'INSERT', 'sessions', async () => { t.equal((await browser.get(await browser.authorize('dan'))).status, 500) })
      t.strictSame(await users(), before)
    })
  })

  void t.test(`sessions and accounts, on ${engine}`, async t => {
    const world = await startWorld(t, engine)

    await t.test('a session has a new id after each sign-in, and ends in its time', async t => {
      const browser = new Browser(world)
      await browser.signIn('ann')
      const first = browser.cookies.get('vault_sid')
      await browser.signIn('ann')
      t.not(browser.cookies.get('vault_sid'), first)
      const old = new Browser(world)
      old.cookies.set('vault_sid', first ?? '')
      t.equal((await old.me()).status, 401, 'the old one is over')
      world.clock.now += IDLE_MS + 1
      t.equal((await browser.me()).status, 401, 'not used for 14 days')
      await browser.signIn('ann')
      for (const end = world.clock.now + LONGEST_MS; world.clock.now < end; world.clock.now += IDLE_MS / 2) {
        t.equal((await browser.me()).status, 200)
        await world.db.prepare('UPDATE sessions SET last_seen_at = ?').run(world.clock.now)
      }
      t.equal((await browser.me()).status, 401, 'after 90 days')
    })

    await t.test('they are listed and revoked, by their owner alone', async t => {
      const [here, there, other] = [new Browser(world), new Browser(world), new Browser(world)]
      await here.signIn('ben')
      await there.signIn('ben')
      await other.signIn('cleo')
      const me = await here.person((await here.me()).body.csrfToken)
      const stranger = await other.person((await other.me()).body.csrfToken)
      const { body } = await world.ask<Array<{ id: string, current: boolean }>>('GET', '/auth/sessions', { by: me })
      t.equal(body.length, 2)
      t.equal(body.filter(({ current }) => current).length, 1)
      const id = body.find(({ current }) => !current)?.id ?? ''
      t.equal((await world.ask('DELETE', `/auth/sessions/${id}`, { by: stranger })).status, 404)
      t.equal((await world.ask('DELETE', `/auth/sessions/${id}`, { by: me })).status, 204)
      t.equal((await there.me()).status, 401)
      await there.signIn('ben')
      t.equal((await world.ask('DELETE', '/auth/sessions/others', { by: me })).status, 204)
      t.equal((await there.me()).status, 401)
      t.equal((await here.me()).status, 200)
      t.equal((await world.ask('POST', '/auth/logout', { by: me })).status, 204)
      t.equal((await here.me()).status, 401)
      t.equal((await world.ask('POST', '/auth/logout')).status, 204, 'also without a session')
    })

    await t.test('a change needs the token of the session and the origin of the app', async t => {
      const ann = await world.person('Annabel')
      const change = async (headers: Record<string, string>) => (await world.ask('PATCH', '/auth/me', { headers: { cookie: ann.headers.cookie ?? '', ...headers }, body: { displayName: 'Bel' } }))
      const token = ann.headers['x-csrf-token'] ?? ''
      t.match(await change({ origin: 'http://localhost:80' }), { status: 403, body: { error: { code: 'CSRF' } } })
      t.equal((await change({ origin: 'http://localhost:80', 'x-csrf-token': `${token.slice(1)}0` })).status, 403)
      t.equal((await change({ origin: 'https://example.org', 'x-csrf-token': token })).status, 403)
      t.equal((await change({ 'x-csrf-token': token })).status, 403, 'no origin')
      t.match(await change({ origin: 'http://localhost:80', 'x-csrf-token': token }), { status: 200, body: { displayName: 'Bel' } })
      t.match(await world.ask('PATCH', '/auth/me', { by: ann, body: { theme: 'pink' } }), { status: 400, body: { error: { code: 'VALIDATION', details: { pointer: '/body/theme' } } } })
      t.match(await world.ask('PATCH', '/auth/me', { by: ann, body: { role: 'x' } }), { status: 400, body: { error: { details: { pointer: '/body/role' } } } })
      t.equal((await world.ask('PATCH', '/auth/me', { by: ann, body: {} })).status, 400)
      t.equal((await world.ask('PATCH', '/auth/me', { by: ann, body: { displayName: '​ ' } })).status, 400, 'a name that nobody sees')
    })

    await t.test('a second identity is the same person; another person\'s is refused; the last one stays', async t => {
      const browser = new Browser(world)
      await browser.signIn('dan')
      const { body } = await browser.me()
      t.equal(await browser.signIn('cleo'), '/?login=failed&reason=taken')
      t.equal((await browser.me()).body.user.id, body.user.id)
      const me = await browser.person(body.csrfToken)
      t.match(await world.ask('DELETE', '/auth/identities/mock', { by: me }), { status: 409, body: { error: { code: 'LAST_IDENTITY' } } })
      await world.db.prepare('INSERT INTO identities (provider, subject, user_id, email_verified, created_at, last_login_at) VALUES (?, ?, ?, 0, 1, 1)').run('github', '7', body.user.id)
      t.strictSame((await browser.me()).body.identities.map(({ provider }) => provider), ['github', 'mock'])
      t.equal((await world.ask('DELETE', '/auth/identities/github', { by: me })).status, 204)
      t.equal((await world.ask('DELETE', '/auth/identities/github', { by: me })).status, 404)
    })

    await t.test('an account that is being deleted joins nothing meanwhile', async t => {
      const [ann, ben] = [await world.person('Anni'), await world.person('Benni')]
      const { groupId, joinCode } = await world.group(ann, 'open')
      const [joined, deleted] = await Promise.all([world.ask('POST', '/groups/join', { by: ben, body: { code: joinCode } }), world.ask('DELETE', '/auth/me', { by: ben, body: { confirm: 'Benni' } })])
      t.ok([200, 401].includes(joined.status), joined.text)
      t.equal(deleted.status, 204)
      t.equal((await world.db.prepare('SELECT COUNT(*) AS count FROM members WHERE group_id = ? AND user_id = ? AND left_at IS NULL').get(groupId, ben.userId))?.count, 0)
      t.equal((await world.db.prepare('SELECT member_count FROM groups WHERE id = ?').get(groupId))?.member_count, 1)
    })

    await t.test('an account ends with all that it had, or not at all', async t => {
      const [ann, ben] = [await world.person('Anna'), await world.person('Benno')]
      const [own, theirs] = [await world.group(ben, 'mine'), await world.group(ann, 'theirs')]
      const memberId = await world.join(ben, theirs, { characterName: 'Hero' })
      const plugin = await world.plugin(ben, { ...theirs, memberId })
      t.match(await world.ask('DELETE', '/auth/me', { by: ben, body: { confirm: 'Ben' } }), { status: 400 })
      t.match(await world.ask('DELETE', '/auth/me', { by: ben, body: { confirm: 'Benno' } }), { status: 409, body: { error: { code: 'OWNS_GROUPS', details: { groupIds: [own.groupId] } } } })
      await world.db.prepare('UPDATE groups SET deleted_at = 1 WHERE id = ?').run(own.groupId)
      const end = async () => (await world.ask('DELETE', '/auth/me', { by: ben, body: { confirm: 'Benno' } })).status
      await whileRefused(world.db, 'DELETE', 'identities', async () => { t.equal(await end(), 500) })
      t.match(await world.db.prepare('SELECT left_at, display_name FROM members WHERE id = ?').get(memberId), { left_at: null, display_name: 'Benno' }, 'nothing half-done')
      t.equal(await end(), 204)
      t.equal((await world.ask('GET', '/auth/me', { by: ben })).status, 401)
      t.match(await world.db.prepare('SELECT display_name, character_name FROM members WHERE id = ?').get(memberId), { display_name: 'Deleted user', character_name: null })
      t.notOk((await world.db.prepare('SELECT data FROM activity_events WHERE member_id = ?').all(memberId)).some(({ data }) => String(data).includes('Benno')))
      t.not((await world.db.prepare('SELECT revoked_at FROM plugin_tokens WHERE id = ?').get(plugin.tokenId))?.revoked_at, null)
      t.equal((await world.db.prepare('SELECT member_count FROM groups WHERE id = ?').get(theirs.groupId))?.member_count, 1)
    })
  })

  void t.test(`sign-ins and changes are limited, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { rateLimitFactor: 0.05 })
    const starts = []
    for (let i = 0; i < 3; i++) starts.push((await world.ask('GET', '/auth/mock/start')).status)
    t.strictSame(starts, [302, 302, 429])
    const ann = await world.person('Ann')
    const changes = []
    for (let i = 0; i < 4; i++) changes.push(await world.ask('PATCH', '/auth/me', { by: ann, body: { theme: 'dark' } }))
    t.strictSame(changes.map(({ status }) => status), [200, 200, 200, 429])
    t.ok(Number(changes.at(-1)?.headers['retry-after']) > 0)
  })
}

void t.test('what providers say of a person', async t => {
  t.strictSame(readers.discord({ id: '1', global_name: null, username: 'u', email: 'e', verified: true, avatar: 'a' }),
    { subject: '1', name: 'u', email: 'e', emailVerified: true, picture: 'https://cdn.discordapp.com/avatars/1/a.png' })
  t.strictSame(readers.github({ id: 7, name: null, login: 'octo', email: null, avatar_url: 'http://plain' }), { subject: '7', name: 'octo', email: null, emailVerified: false, picture: null })
  t.match(readers.google({ sub: 's', name: 'N', email_verified: true }), { subject: 's', emailVerified: true })
  t.match(readers.twitch({ data: [{ id: '9', display_name: ' T ' }] }), { subject: '9', name: 'T' })
  t.throws(() => readers.twitch({ data: [] }))
  t.throws(() => readers.google({ name: 'no subject' }))
  t.equal(readers.google({ sub: 's', name: '​' }).name, 'Player')
})

void t.test('without the tools for trying there is no provider that is not configured', async t => {
  const world = await startWorld(t, 'sqlite', { env: { VAULT_DEV_TOOLS: 'off', VAULT_OAUTH_GITHUB: 'id:secret', VAULT_URL: 'https://vault.example.org' } })
  t.match((await world.ask('GET', '/auth/providers')).body, [{ id: 'github', label: 'GitHub', mock: false }])
  const started = await world.ask('GET', '/auth/github/start')
  t.match(String(started.headers.location), /^https:\/\/github\.com\/login\/oauth\/authorize\?.*redirect_uri=https%3A%2F%2Fvault\.example\.org%2Fapi%2Fv1%2Fauth%2Fgithub%2Fcallback/)
  for (const path of ['/auth/mock/start', '/auth/mock/authorize', '/auth/mock/userinfo']) t.equal((await world.ask('GET', path)).status, 404, path)
})
