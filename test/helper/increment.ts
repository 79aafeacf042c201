/** A process of its own: adds 1 to a.n in so many transactions. Arguments: URL, count. */
import { openDatabase } from '../../plugins/db/open.ts'
import { collectLog, configFor } from './db.ts'

const [url = '', count = '0'] = process.argv.slice(2)
const db = await openDatabase(configFor(url), collectLog())
console.log('begun')
for (let i = 0; i < Number(count); i++) {
  await db.tx(async tx => {
    await tx.prepare('SELECT n FROM a').get()
    await tx.prepare('UPDATE a SET n = n + 1').run()
  })
}
await db.close()
