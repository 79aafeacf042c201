/** A plugin under test: it counts up its numbers, and knows what the tables say of its member. */
import type { Pair, Reported } from '../../data/vault-payloads.ts'
import type { Answer, Json, Plugin, World } from './world.ts'

export interface Applied { groupVersion: number, results: Record<string, string> }

export class Reporter {
  readonly #world: World
  readonly plugin: Plugin
  epoch = 0
  seq = 0

  constructor (world: World, plugin: Plugin) {
    this.#world = world
    this.plugin = plugin
  }

  async open (accountHash: string, characterName: string, more: object = {}): Promise<Answer<Json>> {
    const body = { accountHash, characterName, clientTime: new Date(this.#world.clock.now).toISOString(), ...more }
    const answer = await this.#world.ask<{ epoch?: number }>('POST', '/sync/sessions', { by: this.plugin, body })
    this.epoch = answer.body.epoch ?? this.epoch
    this.seq = 0
    return answer as unknown as Answer<Json>
  }

  /** The next report; `more` may say something else. */
  async send (containers: Record<string, Reported>, more: object = {}): Promise<Answer<Applied & Json>> {
    const body = { epoch: this.epoch, seq: ++this.seq, capturedAt: new Date(this.#world.clock.now).toISOString(), containers, ...more }
    return await this.#world.ask<Applied & Json>('POST', '/sync/containers', { by: this.plugin, body })
  }

  async delta (deltaId: string, add: Pair[], more: object = {}): Promise<Answer<{ groupVersion: number, result: string } & Json>> {
    return await this.#world.ask('POST', '/sync/deltas', { by: this.plugin, body: { deltaId, epoch: this.epoch, seq: ++this.seq, container: 'bank', add, ...more } })
  }
}

/** slot → [item, quantity] */
export async function slotsOf ({ db }: Pick<World, 'db'>, memberId: string, container: string): Promise<Record<number, Pair>> {
  const rows = await db.prepare('SELECT slot, item_id, quantity FROM container_items WHERE member_id = ? AND container = ? ORDER BY slot').all(memberId, container)
  return Object.fromEntries(rows.map(row => [Number(row.slot), [Number(row.item_id), Number(row.quantity)] as Pair]))
}

/** Everything that a report can change, to see that nothing did. */
export async function allOf ({ db }: Pick<World, 'db'>, groupId: string): Promise<unknown> {
  const lists = [
    'SELECT * FROM containers WHERE group_id = ? ORDER BY member_id, container', 'SELECT * FROM container_items WHERE group_id = ? ORDER BY member_id, container, slot',
    'SELECT * FROM sync_marks WHERE writer_member_id IN (SELECT id FROM members WHERE group_id = ?) ORDER BY owner_member_id, container, writer_member_id',
    'SELECT * FROM group_changes WHERE group_id = ? ORDER BY version, kind, member_id, container', 'SELECT * FROM activity_events WHERE group_id = ? ORDER BY group_seq',
    'SELECT id, version FROM groups WHERE id = ?', 'SELECT id, sync_epoch, character_name, account_hash, last_sync_at FROM members WHERE group_id = ? ORDER BY id'
  ]
  return await Promise.all([...lists.map(async sql => await db.prepare(sql).all(groupId)), db.prepare('SELECT * FROM idempotency_keys ORDER BY scope, key').all()])
}

export async function versionOf ({ db }: Pick<World, 'db'>, groupId: string): Promise<number> {
  return Number((await db.prepare('SELECT version FROM groups WHERE id = ?').get(groupId))?.version)
}
