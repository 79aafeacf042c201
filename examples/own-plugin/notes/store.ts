/**
 * The SQL of notes, for both engines. It knows no Fastify. Called while a request is handled, it is part of that request's transaction by itself: there is
 * nothing to pass around, and so nothing to forget.
 */
import type { Database, Statement } from 'fastify-tandem/db'

export interface Note { id: number, text: string }

export class NoteStore {
  readonly #list: Statement<Note>
  readonly #find: Statement<Note>
  readonly #count: Statement<{ n: number }>
  readonly #nextId: Statement<{ id: number }>
  readonly #insert: Statement

  /** Prepares its statements, which touches nothing yet. */
  constructor (db: Database) {
    this.#list = db.prepare('SELECT id, text FROM note ORDER BY id')
    this.#find = db.prepare('SELECT id, text FROM note WHERE id = ?')
    this.#count = db.prepare('SELECT count(*) AS n FROM note')
    this.#nextId = db.prepare('UPDATE note_counter SET last_id = last_id + 1 RETURNING last_id AS id')
    this.#insert = db.prepare('INSERT INTO note (id, text) VALUES (:id, :text)')
  }

  async list (): Promise<Note[]> {
    return await this.#list.all()
  }

  async find (id: number): Promise<Note | undefined> {
    return await this.#find.get(id)
  }

  async count (): Promise<number> {
    return (await this.#count.get())?.n ?? 0
  }

  /** Two statements that belong together: both or none. */
  async add (text: string): Promise<Note> {
    const next = await this.#nextId.get()
    if (next === undefined) throw new Error('note_counter has no row, which the migration puts there')
    await this.#insert.run({ id: next.id, text })
    return { id: next.id, text }
  }
}
