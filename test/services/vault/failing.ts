/** Statements that fail in the middle of a transaction, as a full disk or a defect would make them. */
import type { World } from './world.ts'

export type Happening = 'INSERT' | 'UPDATE' | 'DELETE'

/** Every change of this kind to the table fails until the answer is called. */
export async function failOn ({ db }: Pick<World, 'db'>, happening: Happening, table: string): Promise<() => Promise<void>> {
  if (db.engine === 'sqlite') {
    // IF (NOT) EXISTS: one that the budget of the event loop has interrupted is run again, and may be there already
    await db.exec(`CREATE TRIGGER IF NOT EXISTS broken BEFORE ${happening} ON ${table} BEGIN SELECT RAISE(ABORT, 'broken by the test'); END`)
    return async () => { await db.exec('DROP TRIGGER IF EXISTS broken') }
  }
  await db.exec(`CREATE OR REPLACE FUNCTION break_it () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken by the test'; END $$`)
  await db.exec(`CREATE TRIGGER broken BEFORE ${happening} ON ${table} FOR EACH ROW EXECUTE FUNCTION break_it()`)
  return async () => { await db.exec(`DROP TRIGGER broken ON ${table}`) }
}
