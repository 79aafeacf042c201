/** What saves the suite time changes nothing: stripped files are what Node would make of them, and a copied database is one that was migrated. */
import { existsSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import t from 'tap'
import { migrate } from '../../plugins/db/migrate.ts'
import type { Database } from '../../plugins/db/types.ts'
import { migrations } from '../../services/migrations.ts'
import { collectLog, engines, openTestDatabase, openUrl } from '../helper/db.ts'
import { migratedUrl } from '../helper/migrated.ts'
import { root } from '../helper/paths.ts'
import { placeOf } from '../setup/preload.js'
import { stripTypes } from '../setup/strip-types.ts'

void t.test('a stripped file is what Node makes of it, and a changed one is not taken for it', async t => {
  stripTypes()
  const text = readFileSync(new URL('plugins/db/transaction.ts', root), 'utf8')
  const stripped = readFileSync(placeOf(text), 'utf8')
  t.equal(stripped, stripTypeScriptTypes(text))
  t.equal(stripped.length, text.length, 'everything is where it was')
  t.notOk(existsSync(placeOf(`${text} `)))
})

for (const engine of engines) {
  void t.test(`a copy of a migrated database is as if it had been migrated itself, on ${engine}`, async t => {
    const [first, second] = [await openUrl(t, await migratedUrl(t, engine)), await openUrl(t, await migratedUrl(t, engine))]
    await first.prepare(`INSERT INTO users (id, display_name, theme, is_operator, created_at) VALUES ('1', 'Ann', 'system', 0, 0)`).run()
    t.strictSame(await second.prepare('SELECT count(*) AS n FROM users').all(), [{ n: 0 }], 'nobody shares it')
    const own = await openTestDatabase(t, engine)
    await migrate(own, migrations, { mode: 'on', log: collectLog() })
    t.strictSame(await describe(second), await describe(own))
    t.strictSame(await migrate(second, migrations, { mode: 'on', log: collectLog() }), [])
  })
}

/** All that the migrations made. */
async function describe (db: Database): Promise<object[]> {
  return await db.prepare(db.engine === 'sqlite'
    ? 'SELECT type, name, sql FROM sqlite_master ORDER BY type, name'
    : `SELECT table_name, column_name, data_type, column_default, is_nullable, indexdef FROM information_schema.columns
       LEFT JOIN pg_indexes ON schemaname = table_schema AND tablename = table_name AND indexdef ~ ('\\m' || column_name || '\\M')
       WHERE table_schema = 'public' ORDER BY table_name, column_name, indexname`).all()
}
