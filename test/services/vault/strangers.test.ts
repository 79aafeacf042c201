/**
 * Every route of the group vault, counted and walked: as nobody, as a stranger, as somebody who was removed, with a token that was revoked, as a member whose role is too low.
 * None of them gets anything of the group, and none of them changes anything.
 */
import t from 'tap'
import { families } from '../../../services/common/route.ts'
import { listRoutes } from '../../../scripts/routes.ts'
import { engines } from '../../helper/db.ts'
import { expectedRoutes, type Access, type ExpectedRoute } from './route-table.ts'
import { startWorld, type Answer, type Person, type Plugin, type World } from './world.ts'

void t.test('there are 80 routes in 7 families, each where it is meant to be', async t => {
  const key = ({ family, method, path }: { family?: string | undefined, method: string, path: string }): string => `${family} ${method} ${path}`
  const found = (await listRoutes()).filter(({ family }) => family !== undefined)
  t.strictSame(found.map(key).sort(), expectedRoutes.map(key).sort())
  t.strictSame(families.map(family => found.filter(route => route.family === family).length), [13, 27, 14, 10, 7, 6, 3])
})

interface Place { readonly world: World, readonly params: Readonly<Record<string, string>>, readonly secrets: readonly string[] }

/** A group with everything in it that a stranger could be after. */
async function makePlace (world: World): Promise<Place & { owner: Person, kicked: Person, revoked: Plugin, member: Person }> {
  const owner = await world.person('Secret Owner')
  const made = await world.group(owner, 'Secret Club')
  const member = await world.person('Secret Member')
  await world.join(member, made, { characterName: 'SecretChar' })
  const kicked = await world.person('Kicked')
  const kickedId = await world.join(kicked, made)
  const revoked = await world.plugin(kicked, { ...made, memberId: kickedId })
  const plugin = await world.plugin(owner, made)
  const { body } = await world.ask<{ epoch: number }>('POST', '/sync/sessions', { by: plugin, body: { accountHash: '-7239145530219944617', characterName: 'HiddenHero', clientTime: new Date(world.clock.now).toISOString() } })
  const upload = { epoch: body.epoch, seq: 1, capturedAt: new Date(world.clock.now).toISOString(), containers: { bank: { items: [[987654, 31337]] } } }
  const uploaded = await world.ask('POST', '/sync/containers', { by: plugin, body: upload })
  t.equal(uploaded.status, 200, uploaded.text)
  const hook = await world.ask<{ webhook: { id: string } }>('POST', `/groups/${made.groupId}/webhooks`, { by: owner, body: { kind: 'generic', url: 'https://example.com/secret-hook', events: ['member.joined'], label: 'Secret Hook' } })
  t.equal(hook.status, 201, hook.text)
  t.equal((await world.ask('DELETE', `/groups/${made.groupId}/members/${kickedId}`, { by: owner })).status, 204)
  const params = {
    groupId: made.groupId, memberId: made.memberId, webhookId: hook.body.webhook.id, tokenId: plugin.tokenId, itemId: '987654', container: 'bank', groupName: 'Secret Club', code: 'BBBB-BBBB',
    provider: 'mock', sessionId: 'others', key: 'live'
  }
  const secrets = ['Secret Club', 'Secret Owner', 'Secret Member', 'SecretChar', 'HiddenHero', 'Secret Hook', '31337', made.joinCode, plugin.token, owner.userId, plugin.tokenId]
  return { world, params, secrets, owner, kicked, revoked, member }
}

async function walk ({ world, params }: Place, { method, path }: ExpectedRoute, by?: Person | Plugin): Promise<Answer<unknown>> {
  const filled = path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? 'x'))
  return await world.ask(method, `/${filled}`, { ...(by && { by }), ...(method === 'GET' ? {} : { body: {} }) })
}

/** What nobody, a stranger, somebody who was removed and a revoked token get. Not named: anything but a 5xx. */
const expected: Readonly<Partial<Record<Access, Readonly<Record<'nobody' | 'stranger' | 'revoked', readonly number[]>>>>> = {
  S: { nobody: [401, 302], stranger: [], revoked: [401, 302] },
  M: { nobody: [401, 302], stranger: [404], revoked: [401, 302] },
  R: { nobody: [401, 404], stranger: [404], revoked: [401, 404] },
  A: { nobody: [401], stranger: [404], revoked: [401] },
  O: { nobody: [401], stranger: [404], revoked: [401] },
  self: { nobody: [401], stranger: [404], revoked: [401] },
  T: { nobody: [401], stranger: [401], revoked: [401] },
  compat: { nobody: [400, 401], stranger: [400, 401], revoked: [400, 401] },
  Op: { nobody: [401], stranger: [403], revoked: [401] },
  X: { nobody: [404], stranger: [404], revoked: [404] },
  'X+Dev': { nobody: [404], stranger: [404], revoked: [404] },
  Sig: { nobody: [400], stranger: [400], revoked: [400] }
}

/** What must be the same afterwards. */
async function stateOf ({ world, params }: Place): Promise<unknown> {
  const group = await world.db.prepare('SELECT version, name, member_count, join_code, owner_user_id, deleted_at FROM groups WHERE id = ?').get(params.groupId ?? '')
  const items = await world.db.prepare('SELECT item_id, quantity FROM container_items WHERE group_id = ?').all(params.groupId ?? '')
  const webhooks = await world.db.prepare('SELECT id, enabled FROM webhooks WHERE group_id = ?').all(params.groupId ?? '')
  return { group, items, webhooks }
}

for (const engine of engines) {
  void t.test(`nobody who may not gets or changes anything of a group, on ${engine}`, async t => {
    const place = await makePlace(await startWorld(t, engine))
    const stranger = await place.world.person('Stranger')
    const before = await stateOf(place)
    const walkers: ReadonlyArray<readonly ['nobody' | 'stranger' | 'revoked', Person | Plugin | undefined]> = [['nobody', undefined], ['stranger', stranger], ['stranger', place.kicked], ['revoked', place.revoked]]
    for (const [who, by] of walkers) {
      // last, what ends the walker itself
      for (const route of expectedRoutes.toSorted((a, b) => Number(a.path.includes('/auth/')) - Number(b.path.includes('/auth/')))) {
        const { status, text, headers } = await walk(place, route, by)
        const told = `${route.method} ${route.path} as ${by === place.kicked ? 'kicked' : who}: ${status} ${text.slice(0, 200)}`
        const allowed = expected[route.access]?.[who] ?? []
        if (status >= 500 || (allowed.length > 0 && !allowed.includes(status))) t.fail(told)
        const leaked = place.secrets.find(secret => `${text}${JSON.stringify(headers)}`.includes(secret))
        if (leaked !== undefined) t.fail(`${told} has ${leaked}`)
      }
    }
    t.strictSame(await stateOf(place), before)
  })

  void t.test(`a member cannot do what takes an admin or the owner, on ${engine}`, async t => {
    const place = await makePlace(await startWorld(t, engine))
    const before = await stateOf(place)
    for (const route of expectedRoutes.filter(({ access }) => ['A', 'O', 'self', 'Op'].includes(access))) {
      const body = route.access === 'self' ? { displayName: 'x' } : {}
      const path = route.path.replace(/:(\w+)/g, (_, name: string) => place.params[name] ?? 'x')
      const { status, text } = await place.world.ask(route.method, `/${path}`, { by: place.member, ...(route.method === 'GET' ? {} : { body }) })
      t.equal(status, 403, `${route.method} ${route.path}: ${text.slice(0, 200)}`)
    }
    t.strictSame(await stateOf(place), before)
  })

  void t.test(`without the tools for trying there are none, on ${engine}`, async t => {
    const world = await startWorld(t, engine, { env: { VAULT_DEV_TOOLS: 'off' } })
    const place: Place = { world, params: {}, secrets: [] }
    for (const route of expectedRoutes.filter(({ access }) => access.includes('Dev'))) t.equal((await walk(place, route)).status, 404, route.path)
    t.equal((await world.ask('GET', '//demo')).status, 404, 'nor is there a demo group')
  })
}
