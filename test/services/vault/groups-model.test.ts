/** Whatever people do to a group in whatever order, it is as a simple model says: its counter, its owner, its code, its version. */
import fc from 'fast-check'
import t from 'tap'
import { setJoinCode } from '../../../services/groups/join-code.ts'
import { joinGroupByCode } from '../../../services/groups/join-group.ts'
import { leaveGroup, removeMember } from '../../../services/groups/remove-member.ts'
import { transferOwnership } from '../../../services/groups/transfer-ownership.ts'
import { updateMember } from '../../../services/groups/update-member.ts'
import { engines } from '../../helper/db.ts'
import { startWorld, type Person, type World } from './world.ts'

const PEOPLE = 7
const person = fc.nat(PEOPLE - 1)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('join' as const), by: person }) },
  fc.record({ what: fc.constant('leave' as const), by: person }),
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('kick' as const, 'transfer' as const), by: person, whom: person }) },
  fc.record({ what: fc.constant('role' as const), by: fc.constant(0), whom: person, role: fc.constantFrom('admin' as const, 'member' as const) }),
  fc.record({ what: fc.constantFrom('rotate' as const, 'disable' as const, 'enable' as const), by: person }),
  fc.record({ what: fc.constant('limit' as const), most: fc.integer({ min: 1, max: 6 }) })
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** A group, as simple as can be. Each step answers the error that it has to meet. */
class Model {
  readonly roles = new Map([[0, 'owner']])
  version = 1
  most = 5
  hasCode = true
  isDeleted = false

  take (step: Step): string {
    if (step.what === 'limit') {
      this.most = step.most
      return 'ok'
    }
    const role = this.roles.get(step.by)
    if (step.what === 'join') return this.#join(step.by)
    if (this.isDeleted || role === undefined) return 'NOT_FOUND'
    if (step.what === 'leave') return this.#leave(step.by, role)
    if (step.what === 'transfer') return this.#transfer(step.by, step.whom, role)
    if (step.what === 'role') return this.#setRole(step, role)
    if (role === 'member') return 'FORBIDDEN'
    return step.what === 'kick' ? this.#kick(step.whom) : this.#setCode(step.what)
  }

  #changed (): 'ok' {
    this.version++
    return 'ok'
  }

  #join (by: number): string {
    if (this.isDeleted || !this.hasCode) return 'JOIN_CODE_INVALID'
    if (this.roles.has(by)) return 'ok'
    if (this.roles.size >= this.most) return 'GROUP_FULL'
    this.roles.set(by, 'member')
    return this.#changed()
  }

  #leave (by: number, role: string): string {
    if (this.roles.size === 1) {
      this.isDeleted = true
      this.roles.clear()
      return 'ok'
    }
    if (role === 'owner') return 'OWNER_MUST_TRANSFER'
    this.roles.delete(by)
    return this.#changed()
  }

  #kick (whom: number): string {
    const role = this.roles.get(whom)
    if (role === undefined) return 'NOT_FOUND'
    if (role === 'owner') return 'OWNER_CANNOT_BE_REMOVED'
    this.roles.delete(whom)
    return this.#changed()
  }

  #transfer (by: number, whom: number, role: string): string {
    if (role !== 'owner') return 'FORBIDDEN'
    if (!this.roles.has(whom)) return 'NOT_A_MEMBER'
    if (by === whom) return 'ok'
    this.roles.set(by, 'admin').set(whom, 'owner')
    return this.#changed()
  }

  #setRole ({ by, whom, role }: Extract<Step, { what: 'role' }>, own: string): string {
    const before = this.roles.get(whom)
    if (before === undefined) return 'NOT_FOUND'
    if (own !== 'owner') return 'FORBIDDEN'
    if (by === whom) return 'OWNER_MUST_TRANSFER'
    this.roles.set(whom, role)
    return before === role ? 'ok' : this.#changed()
  }

  #setCode (what: 'rotate' | 'disable' | 'enable'): string {
    if (what !== 'rotate' && this.hasCode === (what === 'enable')) return 'ok'
    this.hasCode = what !== 'disable'
    return this.#changed()
  }
}

/** The group itself. */
class Real {
  readonly #world: World
  readonly #people: readonly Person[]
  readonly groupId: string

  constructor (world: World, people: readonly Person[], groupId: string) {
    this.#world = world
    this.#people = people
    this.groupId = groupId
  }

  async take (step: Step): Promise<string> {
    try {
      await this.#do(step)
      return 'ok'
    } catch (error) {
      return String((error as { code?: string }).code).replace('TDM_ERR_VAULT_', '')
    }
  }

  async #do (step: Step): Promise<unknown> {
    const { db, clock: { now } } = this.#world
    const { groupId } = this
    if (step.what === 'limit') return await db.prepare('UPDATE groups SET max_members = ? WHERE id = ?').run(step.most, groupId)
    const { userId = '', name = '' } = this.#people[step.by] ?? {}
    const actor = { groupId, userId }
    switch (step.what) {
      case 'join': return await joinGroupByCode(db, { code: await this.#code(), userId, displayName: name }, now)
      case 'leave': await leaveGroup(db, actor, now); return
      case 'kick': await removeMember(db, actor, await this.#memberId(step.whom), now); return
      case 'transfer': await transferOwnership(db, actor, await this.#memberId(step.whom), now); return
      case 'role': return await updateMember(db, actor, { memberId: await this.#memberId(step.whom), role: step.role }, now)
      default: return await setJoinCode(db, actor, step.what, now)
    }
  }

  async #code (): Promise<string> {
    const row = await this.#world.db.prepare('SELECT join_code FROM groups WHERE id = ?').get(this.groupId)
    return String(row?.join_code)
  }

  /** Of the one who is, or was last, in it. */
  async #memberId (whom: number): Promise<string> {
    const row = await this.#world.db.prepare('SELECT id FROM members WHERE group_id = ? AND user_id = ? ORDER BY CASE WHEN left_at IS NULL THEN 0 ELSE 1 END, id DESC').get(this.groupId, this.#people[whom]?.userId ?? '')
    return String(row?.id ?? 'mem_none')
  }

  /** As the model would say it. */
  async look (): Promise<object> {
    const { db } = this.#world
    const { groupId } = this
    const group = await db.prepare('SELECT member_count, version, join_code, owner_user_id, deleted_at FROM groups WHERE id = ?').get(groupId)
    const members = await db.prepare(`SELECT user_id, role FROM members WHERE group_id = ? AND kind = 'player' AND left_at IS NULL`).all(groupId)
    const changes = await db.prepare('SELECT DISTINCT version FROM group_changes WHERE group_id = ? ORDER BY version').all(groupId)
    const roles = new Map(members.map(row => [this.#people.findIndex(({ userId }) => userId === row.user_id), row.role]))
    return {
      count: group?.member_count,
      roles: Object.fromEntries(roles),
      owners: members.filter(row => row.role === 'owner' && row.user_id === group?.owner_user_id).length,
      version: group?.version,
      changes: changes.map(row => row.version),
      hasCode: group?.join_code !== null
    }
  }
}

function expected (model: Model): object {
  return {
    count: model.roles.size,
    roles: Object.fromEntries(model.roles),
    owners: model.isDeleted ? 0 : 1,
    version: model.version,
    changes: Array.from({ length: model.version }, (_, i) => i + 1),
    hasCode: model.hasCode && !model.isDeleted
  }
}

for (const engine of engines) {
  void t.test(`on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const people = await Promise.all(Array.from({ length: PEOPLE }, async (_, i) => await world.person(`P${i}`)))
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async steps => {
      const [owner] = people
      if (owner === undefined) return
      const [model, real] = [new Model(), new Real(world, people, (await world.group(owner)).groupId)]
      for (const one of steps) {
        const answer = await real.take(one)
        const wanted = model.take(one)
        if (answer !== wanted) throw new Error(`${JSON.stringify(one)}: ${answer}, not ${wanted}`)
      }
      const [seen, said] = [JSON.stringify(await real.look()), JSON.stringify(expected(model))]
      if (seen !== said) throw new Error(`${seen}, not ${said}`)
      await world.db.prepare('UPDATE groups SET owner_user_id = ? WHERE id = ?').run((await world.person('Nobody')).userId, real.groupId) // since one person owns ten at most
    }), { numRuns: 20 })
    t.ok(true, 'as the model says')
  })
}
