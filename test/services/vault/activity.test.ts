/** What happened in a group, as its members read it. */
import t from 'tap'
import { appendActivity, type NewEvent } from '../../../services/activity/append.ts'
import { lockGroup } from '../../../services/groups/lock.ts'
import { engines } from '../../helper/db.ts'
import { startWorld } from './world.ts'

interface Page { readonly events: ReadonlyArray<{ readonly groupSeq: number, readonly type: string }>, readonly nextCursor: string | null }

for (const engine of engines) {
  void t.test(`activity on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { db, clock } = world
    const [ann, bob, stranger] = [await world.person('Ann'), await world.person('Bob'), await world.person('Sam')]
    const { groupId, memberId } = await world.group(ann)
    const bobsId = await world.join(bob, { groupId })
    await world.group(stranger)
    const path = `/groups/${groupId}/activity`
    const happen = async (event: Omit<NewEvent, 'groupId'>): Promise<unknown> => await db.tx(async () => {
      await lockGroup(db, groupId, clock.now)
      return await appendActivity(db, { groupId, ...event }, clock.now)
    })
    for (let i = 0; i < 3; i++) await happen({ type: 'death', memberId: bobsId, data: { i }, sourceEventId: `d${i}`, occurredAt: clock.now - 1000 })
    await happen({ type: 'loot', memberId, data: { item: 'Coins' } })

    await t.test('newest first, with who it was', async t => {
      const { status, body } = await world.ask('GET', path, { by: bob })
      t.equal(status, 200)
      t.match(body, { nextCursor: null, events: [
        { groupSeq: 5, type: 'loot', memberId, memberName: 'Ann', data: { item: 'Coins' }, source: 'app', occurredAt: new Date(clock.now).toISOString() },
        { groupSeq: 4, type: 'death', memberName: 'Bob', data: { i: 2 }, source: 'plugin', occurredAt: new Date(clock.now - 1000).toISOString(), createdAt: new Date(clock.now).toISOString() },
        { groupSeq: 3 }, { groupSeq: 2 }, { groupSeq: 1, type: 'member.joined' }
      ] })
    })

    await t.test('in pages, that do not move when something happens', async t => {
      const first = await world.ask<Page>('GET', `${path}?limit=2`, { by: ann })
      await happen({ type: 'level', data: {} })
      const second = await world.ask<Page>('GET', `${path}?limit=2&cursor=${first.body.nextCursor}`, { by: ann })
      const third = await world.ask<Page>('GET', `${path}?limit=2&cursor=${second.body.nextCursor}`, { by: ann })
      t.strictSame([first, second, third].map(({ body: { events } }) => events.map(({ groupSeq }) => groupSeq)), [[5, 4], [3, 2], [1]])
      t.equal(third.body.nextCursor, null)
    })

    await t.test('of one kind, or of one member', async t => {
      const types = async (query: string): Promise<string[]> => (await world.ask<Page>('GET', `${path}?${query}`, { by: ann })).body.events.map(({ type }) => type)
      t.strictSame(await types('type=death'), ['death', 'death', 'death'])
      t.strictSame(await types(`member=${memberId}`), ['loot', 'member.joined'])
      t.strictSame(await types(`member=${memberId}&type=death`), [])
    })

    await t.test('what is not taken, and who may not', async t => {
      for (const [query, code] of [['type=nothing', 'VALIDATION'], ['member=Ann', 'VALIDATION'], ['limit=0', 'VALIDATION'], ['limit=201', 'VALIDATION'], ['cursor=nonsense', 'BAD_CURSOR'], ['page=2', 'VALIDATION']] as const) {
        t.match(await world.ask('GET', `${path}?${query}`, { by: ann }), { status: 400, body: { error: { code } } }, query)
      }
      t.match(await world.ask('GET', path), { status: 401 })
      t.match(await world.ask('GET', path, { by: stranger }), { status: 404 })
      await db.prepare('UPDATE members SET left_at = 1 WHERE id = ?').run(bobsId)
      t.match(await world.ask('GET', path, { by: bob }), { status: 404 })
    })
  })
}
