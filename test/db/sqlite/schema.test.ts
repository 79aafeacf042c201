/** What one connection has changed of the schema another one knows, also for CREATE. */
import t from 'tap'
import { freshUrl, openUrl } from '../../helper/db.ts'

void t.test('what another connection has dropped can be created again', async t => {
  const url = await freshUrl(t, 'sqlite')
  const [here, there] = [await openUrl(t, url), await openUrl(t, url)]
  await here.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, size INTEGER)')
  for (const [create, drop] of [
    ['CREATE TRIGGER looks BEFORE INSERT ON item BEGIN SELECT 1; END', 'DROP TRIGGER looks'],
    ['CREATE INDEX item_size ON item (size)', 'DROP INDEX item_size'],
    ['CREATE VIEW items AS SELECT id FROM item', 'DROP VIEW items'],
    ['CREATE TABLE shelf (id INTEGER)', 'DROP TABLE shelf']
  ] as const) {
    await here.exec(create)
    await there.exec(drop)
    await here.exec(create)
    await t.rejects(there.exec(create), { code: 'TDM_ERR_DB_SYNTAX' }, 'and not twice')
    await there.tx(async () => { await there.exec(`${drop}; ${create}`) })
  }
})
