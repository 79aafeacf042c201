/** A process of its own that works on the outbox of DATABASE_URL until it is killed, as of the time CLOCK. */
import { readConfig } from '../../../plugins/config/index.ts'
import { openDatabase } from '../../../plugins/db/open.ts'
import { OutboxWorker } from '../../../services/activity/worker.ts'
import { sealer } from './outbox-world.ts'

const log = { info: () => {}, warn: () => {}, error: () => {} }
const { DATABASE_URL, CLOCK = '' } = process.env
if (DATABASE_URL === undefined) process.exit() // `tap test/services/vault` takes it for a test
const db = await openDatabase(readConfig({ DATABASE_URL }), log)
const worker = new OutboxWorker(db, { sealer, log, now: () => Number(CLOCK), settings: { devTools: true } })
await worker.start()
setInterval(() => {}, 60_000)
