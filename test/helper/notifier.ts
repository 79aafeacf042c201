/** A process of its own that sends one notification: node notifier.ts <url> <channel> <payload>. */
import { readConfig } from '../../plugins/config/index.ts'
import { openDatabase } from '../../plugins/db/open.ts'

const [url = '', channel = '', payload = ''] = process.argv.slice(2)
const db = await openDatabase(readConfig({ DATABASE_URL: url }), console)
await db.notify(channel, payload)
await db.close()
