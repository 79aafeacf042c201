/** What the services of the group vault share: a group is made whole, versions grow under its lock, errors have one form, and who may is asked first. */
import t from 'tap'
import { bumpGroupVersion, lockGroup } from '../../../services/groups/lock.ts'
import { deferred, engines } from '../../helper/db.ts'
import { startWorld } from './world.ts'

for (const engine of engines) {
  void t.test(`a group has an owner, a shared storage, a code and an event from its beginning, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const ann = await world.person('Ann')
    const made = await world.group(ann)
    t.match(made.joinCode, /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/)
    t.match(await world.db.prepare('SELECT kind, role FROM members WHERE group_id = ? ORDER BY kind').all(made.groupId), [{ kind: 'player', role: 'owner' }, { kind: 'shared', role: 'member' }])
    t.match(await world.db.prepare('SELECT type, group_seq FROM activity_events WHERE group_id = ?').all(made.groupId), [{ type: 'member.joined', group_seq: 1 }])
    for (let i = 1; i < 10; i++) await world.group(ann, `group ${i}`)
    await t.rejects(world.group(ann), { code: 'TDM_ERR_VAULT_GROUP_LIMIT' })
  })

  void t.test(`changes of one group wait for each other, and each has its own version, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const { groupId } = await world.group(await world.person('Ann'))
    const entered = deferred<unknown>()
    const go = deferred<unknown>()
    const change = async (kind: 'roster' | 'settings', wait: boolean): Promise<number> => await world.db.tx(async () => {
      await lockGroup(world.db, groupId, world.clock.now)
      entered.resolve(undefined)
      if (wait) await go.promise
      return await bumpGroupVersion(world.db, groupId, [{ kind }], world.clock.now)
    })
    const first = change('roster', true)
    await entered.promise
    const second = change('settings', false)
    go.resolve(undefined)
    t.strictSame(await Promise.all([first, second]), [2, 3])
    t.strictSame((await world.db.prepare('SELECT version, kind FROM group_changes WHERE group_id = ? ORDER BY version').all(groupId)).map(row => `${row.version} ${row.kind}`), ['1 roster', '2 roster', '3 settings'])
    await t.rejects(world.db.tx(async () => await lockGroup(world.db, 'grp_none', 0)), { code: 'TDM_ERR_VAULT_NOT_FOUND' })
    await t.rejects(lockGroup(world.db, groupId, 0), { code: 'TDM_ERR_TX_PROPAGATION' }, 'only in a transaction')
  })
}
