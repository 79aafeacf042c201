/** A thread with a connection, in moments that nobody outside of the engine can choose. */
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../../plugins/config/index.ts'
import { resolveFile, type SqliteSettings } from '../../../plugins/db/sqlite/open.ts'
import { Opener } from '../../../plugins/db/sqlite/opener.ts'
import { END_MS } from '../../../plugins/db/sqlite/readers.ts'
import { unlimited } from '../../../plugins/db/sqlite/thread.ts'
import { freshFolder } from '../../helper/db.ts'
import { numbers } from '../../helper/long.ts'

function openerOf (path: string): Opener {
  const { sqlite, ...config } = readConfig({ DATABASE_URL: `sqlite:${path}` })
  const settings: SqliteSettings = { ...config, ...sqlite, path, readonly: false, smallConnections: 1, optimizeAfterMs: Infinity }
  return new Opener(resolveFile(settings), settings)
}

void t.test('a cursor that is closed when its thread was just told to end: that is not stopped, and the thread ends', async t => {
  const opener = openerOf(join(freshFolder(t), 'a.db'))
  const { reader, writer } = await opener.open()
  for (let i = 0; i < 20; i++) {
    const thread = await opener.thread(true, reader)
    const rows = thread.batches(numbers(10_000), [], unlimited, 'rows')
    await rows.next()
    await thread.settled // the next ones are there
    const ended = thread.end(END_MS)
    while (thread.current?.sql !== 'close') await Promise.resolve()
    await rows.return(undefined)
    await ended
    t.equal(thread.isAlive, false)
  }
  for (const connection of [reader, writer]) connection?.close()
})
