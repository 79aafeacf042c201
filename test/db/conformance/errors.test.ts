/** The same mistake has the same kind and code on both engines; messages hold no value and no driver's text. */
import { onEachEngine } from '../../helper/db.ts'
import { describeError, type DatabaseError } from '../../../plugins/errors.ts'

const schema = `
  CREATE TABLE parent (id BIGINT PRIMARY KEY);
  CREATE TABLE child (id BIGINT PRIMARY KEY, parent_id BIGINT REFERENCES parent (id), name TEXT NOT NULL, age BIGINT CHECK (age >= 0), UNIQUE (name));
  INSERT INTO parent (id) VALUES (1);
  INSERT INTO child (id, parent_id, name, age) VALUES (1, 1, 'secret-name', 5)`

const mistakes = [
  { kind: 'unique', code: 'TDM_ERR_DB_UNIQUE', statusCode: 409, sql: "INSERT INTO child (id, name) VALUES (1, 'b')" },
  { kind: 'unique', code: 'TDM_ERR_DB_UNIQUE', statusCode: 409, sql: "INSERT INTO child (id, name) VALUES (2, 'secret-name')" },
  { kind: 'foreignKey', code: 'TDM_ERR_DB_FOREIGN_KEY', statusCode: 409, sql: "INSERT INTO child (id, parent_id, name) VALUES (2, 99, 'b')" },
  { kind: 'foreignKey', code: 'TDM_ERR_DB_FOREIGN_KEY', statusCode: 409, sql: 'DELETE FROM parent WHERE id = 1' },
  { kind: 'notNull', code: 'TDM_ERR_DB_NOT_NULL', statusCode: 400, sql: 'INSERT INTO child (id, name) VALUES (2, NULL)' },
  { kind: 'check', code: 'TDM_ERR_DB_CHECK', statusCode: 400, sql: "INSERT INTO child (id, name, age) VALUES (2, 'b', -1)" },
  { kind: 'syntax', code: 'TDM_ERR_DB_SYNTAX', statusCode: 500, sql: 'SELEKT 1' },
  { kind: 'syntax', code: 'TDM_ERR_DB_SYNTAX', statusCode: 500, sql: 'SELECT nothing FROM child' },
  { kind: 'syntax', code: 'TDM_ERR_DB_SYNTAX', statusCode: 500, sql: 'SELECT id FROM nowhere' },
  { kind: 'syntax', code: 'TDM_ERR_DB_SYNTAX', statusCode: 500, sql: 'SELECT nothing(1)' },
  { kind: 'syntax', code: 'TDM_ERR_DB_SYNTAX', statusCode: 500, sql: 'SELECT 1; SELECT 2' }
] as const

onEachEngine('122: the same mistake has the same kind, code and status', async (t, db) => {
  await db.exec(schema)
  for (const { sql, ...expected } of mistakes) await t.rejects(db.prepare(sql).run(), expected, sql)
  for (const { sql, ...expected } of mistakes) await t.rejects(db.tx(async tx => await tx.prepare(sql).all()), expected, `in a transaction: ${sql}`)
})

onEachEngine('146: a write in a read transaction is of kind readonly', async (t, db) => {
  await db.exec(schema)
  await t.rejects(db.tx(async tx => await tx.prepare('DELETE FROM child').run(), { mode: 'read' }), { kind: 'readonly', code: 'TDM_ERR_DB_READONLY' })
  t.strictSame(await db.prepare('SELECT count(*) AS n FROM child').get(), { n: 1 })
})

onEachEngine('74: the driver\'s error is the cause, and neither its text nor a value is in the message or in what is logged', async (t, db) => {
  await db.exec(schema)
  const error = await db.prepare('INSERT INTO child (id, name) VALUES (?, ?)').run(7, 'secret-name').catch((error: DatabaseError) => error) as DatabaseError
  t.ok(error.cause instanceof Error)
  t.notMatch(error.message, /secret-name|duplicate|UNIQUE/)
  t.match(error.sql, /^INSERT INTO child/)
  const logged = JSON.stringify(describeError(new Error('outer', { cause: error })))
  t.notMatch(logged, /secret-name|duplicate key|UNIQUE constraint/)
  t.match(logged, /TDM_ERR_DB_UNIQUE/)
})

onEachEngine('74: the statement is told on one line, cut', async (t, db) => {
  const error = await db.prepare(`SELECT ${'a, '.repeat(500)} b\nFROM nowhere`).get().catch((error: DatabaseError) => error) as DatabaseError
  t.match(error.sql, /^SELECT a, .{150,190}…$/)
})
