/** Notifications: who hears what, in which order, and what a transaction has to do with it. */
import Fastify, { type FastifyInstance } from 'fastify'
import tap, { type Test } from 'tap'
import config from '../../../plugins/config/index.ts'
import dbPlugin from '../../../plugins/db/index.ts'
import tx from '../../../plugins/tx/index.ts'
import type { ChannelEvent, Database } from '../../../plugins/db/types.ts'
import { collectLog, deferred, engines, freshUrl, onEachEngine, openTestDatabase } from '../../helper/db.ts'

const nested = { propagation: 'nested' } as const

/** Listens, and answers with what was heard when `last` comes. */
async function hear (db: Database, channel: string, last = 'last'): Promise<{ events: string[], done: Promise<string[]>, close: () => Promise<void> }> {
  const events: string[] = []
  const done = deferred<string[]>()
  const { close } = await db.listen(channel, ({ payload = 'gap' }) => {
    events.push(payload)
    if (payload === last) done.resolve(events)
  })
  return { events, done: done.promise, close }
}

onEachEngine('notifications come in the order they were sent, to those who listen on their channel', async (t, db) => {
  const news = await hear(db, 'news')
  const other = await hear(db, 'other')
  const payloads = Array.from({ length: 100 }, (_, n) => `n${n}`)
  for (const payload of payloads) await db.notify('news', payload)
  await db.notify('nobody', 'x')
  await db.notify('news')
  await db.notify('news', 'last')
  await db.notify('other', 'last')
  t.strictSame(await news.done, [...payloads, '', 'last'])
  t.strictSame(await other.done, ['last'])
})

onEachEngine('it is told as { payload }, and never before notify has returned', async (t, db) => {
  const heard: ChannelEvent[] = []
  const told = deferred()
  await db.listen('news', event => { heard.push(event); told.resolve() })
  const sent = db.notify('news', 'a')
  t.strictSame(heard, [])
  await sent
  await told.promise
  t.strictSame(heard, [{ payload: 'a' }])
})

onEachEngine('in a transaction they go out with COMMIT, in their order, and not before', async (t, db) => {
  const { done } = await hear(db, 'news')
  const before = await hear(db, 'before')
  await db.tx(async tx => {
    await db.notify('news', 'one')
    await tx.notify('news', 'two')
    await db.outsideTx(async () => {
      await db.notify('before', 'last')
      await db.notify('news', 'meanwhile')
    })
    await before.done
    void tx.notify('news', 'three')
  })
  await db.notify('news', 'last')
  t.strictSame(await done, ['meanwhile', 'one', 'two', 'three', 'last'])
})

onEachEngine('what is rolled back is not told: of a transaction, a nested one, one in that', async (t, db) => {
  const { done } = await hear(db, 'news')
  await t.rejects(db.tx(async () => { await db.notify('news', 'never'); throw new Error('mine') }), { message: 'mine' })
  await db.tx(async tx => {
    await tx.notify('news', 'before')
    await tx.tx(async inner => {
      await inner.notify('news', 'undone')
      await db.tx(async () => { await db.notify('news', 'undone with it') }, nested)
      throw new Error('inner')
    }, nested).catch(() => {})
    await tx.tx(async inner => {
      await inner.notify('news', 'kept')
      await inner.tx(async deep => { await deep.notify('news', 'deep'); throw new Error('deep') }, nested).catch(() => {})
      await db.tx(async () => { await db.notify('news', 'joined') })
    }, nested)
    await tx.notify('news', 'after')
  })
  await t.rejects(db.tx(async tx => {
    await tx.tx(async inner => { await inner.notify('news', 'kept in vain') }, nested)
    throw new Error('outer')
  }), { message: 'outer' })
  await db.notify('news', 'last')
  t.strictSame(await done, ['before', 'kept', 'joined', 'after', 'last'])
})

onEachEngine('of what is the same in one transaction only the first is told; outside of it each', async (t, db) => {
  const { done } = await hear(db, 'news')
  const other = await hear(db, 'other')
  await db.tx(async tx => {
    await tx.tx(async inner => { await inner.notify('news', 'b'); throw new Error('undone') }, nested).catch(() => {})
    for (const payload of ['a', 'b', 'a', 'b']) await tx.notify('news', payload)
    await tx.tx(async inner => { await inner.notify('news', 'c'); await inner.notify('news', 'a') }, nested)
    await tx.notify('other', 'a')
    await tx.notify('other', 'last')
  })
  await db.notify('news', 'a')
  await db.notify('news', 'a')
  await db.notify('news', 'last')
  t.strictSame(await done, ['a', 'b', 'c', 'a', 'a', 'last'])
  t.strictSame(await other.done, ['a', 'last'])
})

onEachEngine('a transaction that reads may notify; one that has ended may not', async (t, db) => {
  const { done } = await hear(db, 'news')
  const ended = await db.tx(async tx => { await tx.notify('news', 'read'); return tx }, { mode: 'read' })
  await t.rejects(ended.notify('news', 'late'), { code: 'TDM_ERR_TX_CLOSED' })
  await db.notify('news', 'last')
  t.strictSame(await done, ['read', 'last'])
})

onEachEngine('a listener sees what was committed, and is in no transaction, wherever it began to listen', async (t, db) => {
  await db.exec('CREATE TABLE a (id BIGINT PRIMARY KEY)')
  const seen = deferred<unknown>()
  const listener = await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (1)').run()
    return await db.listen('news', () => {
      db.tx(async tx => await tx.prepare('SELECT id FROM a ORDER BY id').all(), { propagation: 'never' }).then(seen.resolve, seen.reject)
    })
  })
  await db.tx(async tx => {
    await tx.prepare('INSERT INTO a (id) VALUES (2)').run()
    await tx.notify('news')
  })
  t.strictSame(await seen.promise, [{ id: 1 }, { id: 2 }])
  await listener.close()
})

onEachEngine('one that is closed hears nothing more, the others do; closing twice is nothing', async (t, db) => {
  const first = await hear(db, 'news')
  const second = await hear(db, 'news')
  await db.notify('news', 'last')
  await first.done
  await first.close()
  await first.close()
  const more = await hear(db, 'more')
  await db.notify('news', 'more')
  await db.notify('more', 'last')
  await more.done
  await more.close()
  const third = await hear(db, 'news', 'end')
  await db.notify('news', 'end')
  await third.done
  t.strictSame(first.events, ['last'])
  t.strictSame(second.events, ['last', 'more', 'end'])
  t.strictSame(third.events, ['end'])
  for (const { close } of [second, third]) await close()
  const again = await hear(db, 'news')
  await db.notify('news', 'last')
  t.strictSame(await again.done, ['last'], 'after the last one was closed')
})

onEachEngine('a listener that closes itself, or listens once more, disturbs nobody', async (t, db) => {
  const counts = { once: 0, more: 0 }
  let again: Promise<unknown> | undefined
  const once = await db.listen('news', () => { counts.once++; void once.close() })
  const more = await db.listen('news', () => { if (counts.more++ === 0) again = db.listen('news', () => { counts.more++ }) })
  const { done } = await hear(db, 'news')
  await db.notify('news', 'a')
  await db.notify('news', 'last')
  t.strictSame(await done, ['a', 'last'])
  t.equal(counts.once, 1)
  t.ok(counts.more >= 2)
  await again
  await more.close()
})

for (const engine of engines) {
  void tap.test(`${engine}: what a listener throws is logged, and the others are told`, async t => {
    const log = collectLog()
    const db = await openTestDatabase(t, engine, {}, log)
    await db.listen('news', () => { throw new Error('at once') })
    await db.listen('news', async () => { await null; throw new Error('later') })
    const { done } = await hear(db, 'news')
    await db.notify('news', 'a')
    await db.notify('news', 'last')
    t.strictSame(await done, ['a', 'last'])
    await new Promise(resolve => { setImmediate(resolve) })
    const errors = log.lines.filter(({ level }) => level === 'error').map(({ details }) => (details as { err: Error }).err.message)
    t.strictSame(errors.sort(), ['at once', 'at once', 'later', 'later'])
  })

  void tap.test(`${engine}: what a request sends goes out if it is committed`, async t => {
    const app = await startApp(t, await freshUrl(t, engine))
    const { done } = await hear(app.db, 'news')
    t.equal((await app.inject({ method: 'POST', url: '/fails' })).statusCode, 500)
    t.equal((await app.inject({ method: 'POST', url: '/works' })).statusCode, 200)
    await app.db.notify('news', 'last')
    t.strictSame(await done, ['works', 'last'])
  })
}

async function startApp (t: Test, url: string): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(config, { env: { DATABASE_URL: url } })
  await app.register(dbPlugin)
  await app.register(tx)
  app.post('/works', async () => { await app.db.notify('news', 'works'); return {} })
  app.post('/fails', async () => { await app.db.notify('news', 'fails'); throw new Error('mine') })
  return app
}

onEachEngine('channels are 1 to 63 bytes of any text, payloads up to 7999', async (t, db) => {
  for (const channel of ['a"b; --', 'Große Nachricht', '日本語 🎉', ' ', '\'', '\\', 'ä'.repeat(31) + 'x']) {
    const { done, close } = await hear(db, channel)
    await db.notify(channel, `for ${channel} 🎉\n`)
    await db.notify(channel, '€'.repeat(2666) + 'x')
    await db.notify(channel, 'last')
    t.strictSame(await done, [`for ${channel} 🎉\n`, '€'.repeat(2666) + 'x', 'last'])
    await close()
  }
  for (const channel of ['', 'x'.repeat(64), 'ä'.repeat(32), 'a\0b', '\ud800', 7 as unknown as string]) {
    await t.rejects(db.listen(channel, () => {}), { code: 'TDM_ERR_EVENTS_CHANNEL' })
    await t.rejects(db.notify(channel), { code: 'TDM_ERR_EVENTS_CHANNEL' })
  }
  for (const payload of ['x'.repeat(8000), '€'.repeat(2667), 'a\0b', '\udc00', null as unknown as string, {} as unknown as string]) {
    await t.rejects(db.notify('news', payload), { code: 'TDM_ERR_EVENTS_PAYLOAD' })
  }
  await t.rejects(db.listen('news', undefined as unknown as () => void), { code: 'TDM_ERR_EVENTS_LISTENER' })
})

onEachEngine('one that cannot be sent dooms its transaction, as a statement does', async (t, db) => {
  await t.rejects(db.tx(async tx => { await tx.notify('news', 'x'.repeat(8000)).catch(() => {}) }), { code: 'TDM_ERR_TX_DOOMED', cause: { code: 'TDM_ERR_EVENTS_PAYLOAD' } })
  t.equal(await db.tx(async tx => {
    await tx.tx(async inner => { await inner.notify('') }, nested).catch(() => {})
    return 'goes on'
  }), 'goes on')
})

onEachEngine('limits hold for both', async (t, db) => {
  const signal = AbortSignal.abort()
  await t.rejects(db.signal(signal, async () => await db.listen('news', () => {})), { code: 'TDM_ERR_DB_ABORTED' })
  await t.rejects(db.signal(signal, async () => { await db.notify('news') }), { code: 'TDM_ERR_DB_ABORTED' })
  await t.rejects(db.deadline(0, async () => await db.listen('news', () => {})), { code: 'TDM_ERR_DB_TIMEOUT' })
})

onEachEngine('closing the database ends it', async (t, db) => {
  const { events } = await hear(db, 'news')
  const listener = await db.listen('news', () => {})
  await db.close()
  await listener.close()
  await t.rejects(db.listen('news', () => {}), { code: 'TDM_ERR_DB_CLOSED' })
  await t.rejects(db.notify('news'), { code: 'TDM_ERR_DB_CLOSED' })
  t.strictSame(events, [])
})
