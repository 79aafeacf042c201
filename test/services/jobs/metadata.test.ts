// Meta data and energy of one job, and edits of the meta data, on both engines.
import t from 'tap'
import type { Database } from '../../../plugins/db/types.ts'
import type { JobColumnInput } from '../../../services/jobs/schema.ts'
import { editMeta, fetchEnergyFootprint, fetchMetadata, findById, type Warning } from '../../../services/jobs/store.ts'
import { makeJobs } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { openMade } from './databases.ts'
import { parse, select } from './naive.ts'
import { admin, refused, users } from './users.ts'

const data = makeJobs(30, 41)
const notFound = { code: 'TDM_ERR_JOBS_NOT_FOUND', statusCode: 404 }

for (const engine of engines) {
  void t.test(`meta data and energy are those of the job, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    for (const { id, meta_data: meta, energy_footprint: energy } of data.jobs) {
      t.same(await fetchMetadata(db, { id }), parse(meta) ?? null)
      t.same(await fetchEnergyFootprint(db, { id }), parse(energy) ?? null)
    }
    const reads: Array<(db: Database, input: JobColumnInput) => Promise<object | null>> = [fetchMetadata, fetchEnergyFootprint]
    for (const read of reads) {
      await t.rejects(read(db, { id: 999 }), notFound)
      for (const user of [admin, ...users]) {
        const visible = new Set(select(data, user, [], 0).map(job => job.id))
        for (const { id } of data.jobs) {
          if (visible.has(id)) t.same(await read(db, { user, id }), await read(db, { id }))
          else await t.rejects(read(db, { user, id }), notFound)
        }
      }
      for (const { user, code } of refused) await t.rejects(read(db, { user, id: 1 }), { code })
    }
  })

  void t.test(`what is broken is left out, with a warning, on ${engine}`, async t => {
    const metas = ['NULL', '\'\'', '\'null\'', '\'[]\'', '\'{"a":"x","b":7,"c":null}\'', '\'not json\'']
    const db = await openMade(t, engine, makeJobs(6, 42), metas.map((meta, i) => `UPDATE job SET meta_data = ${meta}, energy_footprint = ${meta} WHERE id = ${i + 1}`))
    const warnings: Warning[] = []
    const options = { warn: (details: Warning) => { warnings.push(details) } }
    const asked = [1, 3, 4, 5]
    const metaData = []
    for (const id of asked) metaData.push(await fetchMetadata(db, { id }, options))
    t.same(metaData, [null, null, {}, { a: 'x' }])
    t.same(warnings.map(warning => 'ids' in warning ? warning.ids : []), [[4], [5]])
    const energy = await Promise.all(asked.map(id => fetchEnergyFootprint(db, { id }, options)))
    t.same(energy, [null, {}, {}, { b: 7, c: 0 }])
    for (const id of [2, 6]) {
      const empty = engine === 'sqlite' ? {} : null // NULL since the import
      t.same(await fetchMetadata(db, { id }, options), empty)
      t.same(await fetchEnergyFootprint(db, { id }, options), empty)
      t.same(await editMeta(db, { user: admin, id, key: 'k', value: 'v' }), { k: 'v' }, 'an edit makes it whole')
    }
    t.same(await editMeta(db, { user: admin, id: 4, key: 'k', value: 'v' }), { k: 'v' })
    t.same(await editMeta(db, { user: admin, id: 1, key: 'k', value: 'v' }), { k: 'v' })
  })

  void t.test(`an edit keeps what it does not name, on ${engine}`, async t => {
    const db = await openMade(t, engine, data, ['UPDATE job SET meta_data = \'{"a":"1","b":"2"}\' WHERE id = 1'])
    t.same(await editMeta(db, { user: admin, id: 1, key: 'b', value: 'new' }), { a: '1', b: 'new' })
    for (const key of ['"', '$.x', 'a.b', '\'', '', '\\', 'größe', '%s', '?']) t.equal((await editMeta(db, { user: admin, id: 1, key, value: `${key}!` }))[key], `${key}!`)
    t.equal((await fetchMetadata(db, { id: 1 }))?.a, '1')
    const { job_id: jobId = 0, cluster = '', start_time: startTime = 0 } = data.jobs[0] ?? {}
    t.equal((await editMeta(db, { user: admin, jobId, cluster, startTime, key: 'c', value: '3' })).c, '3')
    await t.rejects(editMeta(db, { user: admin, jobId, cluster: 'nope', key: 'c', value: '3' }), notFound)
    await t.rejects(editMeta(db, { user: { username: 'nobody', roles: ['user'] }, id: 1, key: 'c', value: '4' }), notFound)
    for (const { user, code } of refused) await t.rejects(editMeta(db, { user, id: 1, key: 'c', value: '4' }), { code })
    for (const bad of ['\0', '\ud800', 7 as unknown as string]) {
      await t.rejects(editMeta(db, { user: admin, id: 1, key: bad, value: '' }), { code: 'TDM_ERR_JOBS_BAD_INPUT', statusCode: 400 })
      await t.rejects(editMeta(db, { user: admin, id: 1, key: 'k', value: bad }), { code: 'TDM_ERR_JOBS_BAD_INPUT' })
    }
    t.equal((await fetchMetadata(db, { id: 1 }))?.c, '3')
    t.equal((await findById(db, { user: admin, id: 1 })).id, 1)
  })

  void t.test(`edits at the same time are all kept, on ${engine}`, async t => {
    const db = await openMade(t, engine, data, ['UPDATE job SET meta_data = \'{"a":"1"}\' WHERE id = 1'])
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
    await Promise.all(keys.map(key => editMeta(db, { user: admin, id: 1, key, value: key })))
    t.same(await fetchMetadata(db, { id: 1 }), { a: '1', ...Object.fromEntries(keys.map(key => [key, key])) })
  })

  void t.test(`an edit is part of the transaction around it, on ${engine}`, async t => {
    const db = await openMade(t, engine, data)
    const before = await fetchMetadata(db, { id: 1 })
    await t.rejects(db.tx(async () => {
      await editMeta(db, { user: admin, id: 1, key: 'k', value: 'v' })
      throw new Error('undone')
    }), { message: 'undone' })
    t.same(await fetchMetadata(db, { id: 1 }), before)
  })
}
