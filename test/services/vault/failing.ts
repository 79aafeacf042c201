/** Statements that fail in the middle of a transaction, as a full disk or a defect would make them. */
import type { Database } from '../../../plugins/db/types.ts'

export type Write = 'INSERT' | 'UPDATE' | 'DELETE'

let triggers = 0

/**
 * While `fn` runs, each such write to `table` fails; with `type`, that of rows of this type. Each trigger has a name of its own: a connection of SQLite that has not met the end
 * of the one before says of its name that it exists already.
 */
export async function whileRefused<T> (db: Database, write: Write, table: string, fn: () => Promise<T>, { type }: { type?: string } = {}): Promise<T> {
  const name = `refuse_${++triggers}`
  const rows = type === undefined ? '' : `WHEN (NEW.type = '${type}')`
  // IF NOT EXISTS: what the budget of the event loop has interrupted is run again, and may be there already
  await db.exec(db.engine === 'sqlite'
    ? `CREATE TRIGGER IF NOT EXISTS ${name} BEFORE ${write} ON ${table} ${rows} BEGIN SELECT RAISE(ABORT, 'refused'); END`
    : `CREATE OR REPLACE FUNCTION refuse () RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
      CREATE TRIGGER ${name} BEFORE ${write} ON ${table} FOR EACH ROW ${rows} EXECUTE FUNCTION refuse ()`)
  try {
    return await fn()
  } finally {
    await db.exec(db.engine === 'sqlite' ? `DROP TRIGGER IF EXISTS ${name}` : `DROP TRIGGER ${name} ON ${table}`)
  }
}

/** A database in which statements that match fail: in the database, as one of ours would. */
export function failing (db: Database, statement: RegExp): Database {
  return new Proxy(db, {
    get: (target, name) => {
      if (name === 'prepare') return (sql: string) => target.prepare(statement.test(sql) ? 'SELECT no_such_column FROM outbox WHERE 1 = 0' : sql)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) as unknown : value
    }
  })
}
