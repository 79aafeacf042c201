// The routes that change something: what they answer, who may, and that nothing half done stays.
import t from 'tap'
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { DetailedJob } from '../../../services/jobs/schema.ts'
import { makeJobs, NOW } from '../../data/jobs.ts'
import { engines } from '../../helper/db.ts'
import { bearer, openWith } from './service.ts'

const data = makeJobs(40, 9)
data.jobs = data.jobs.map(job => ({ ...job, job_state: 'completed', meta_data: '{"jobName":"old"}' }))

const newJob = {
  jobId: 777, user: 'ann', project: 'p1', cluster: 'alex', subCluster: 'a40', numNodes: 1, numHwthreads: 16, startTime: NOW - 3600, walltime: 86400, resources: [{ hostname: 'a0128', hwthreads: [0, 1] }],
  metaData: { jobName: 'train' }
}

interface Answer<T> { status: number, body: T }

async function send<T = { code: string, message: string, pointer?: string }> (app: FastifyInstance, method: InjectOptions['method'], url: string, payload?: unknown, headers: Record<string, string> = {}): Promise<Answer<T>> {
  const response = await app.inject({ method: method ?? 'GET', url, headers, ...(payload === undefined ? {} : { payload: payload as object }) })
  return { status: response.statusCode, body: response.json<T>() }
}

for (const engine of engines) {
  void t.test(`a job is started, found, and stopped, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    const { status, body: { id } } = await send<{ msg: string, id: number }>(app, 'POST', '/api/jobs/start_job/', newJob)
    t.equal(status, 201)
    const { body: found } = await send<DetailedJob>(app, 'GET', `/api/jobs/${id}?with-metadata=true`)
    t.match(found, { id, jobId: 777, jobState: 'running', shared: 'none', monitoringStatus: 1, duration: 3600, resources: newJob.resources, metaData: { jobName: 'train' } })
    t.match(await send(app, 'PUT', '/api/jobs/start_job', { ...newJob, startTime: NOW - 3601 }), { status: 422, body: { code: 'TDM_ERR_JOBS_ALREADY_STARTED' } })
    t.match(await send(app, 'PUT', '/api/jobs/start_job', { ...newJob, cluster: 'fritz' }), { status: 201, body: { msg: 'success' } })

    t.match(await send(app, 'POST', '/api/jobs/stop_job', { jobId: 777, cluster: 'alex', stopTime: NOW - 7200 }), { status: 400, body: { code: 'TDM_ERR_JOBS_BAD_INPUT' } })
    t.match(await send(app, 'POST', '/api/jobs/stop_job', { jobId: 778, stopTime: NOW }), { status: 404, body: { code: 'TDM_ERR_JOBS_NOT_FOUND' } })
    t.match(await send(app, 'POST', '/api/jobs/stop_job', { jobId: 777, cluster: 'alex', stopTime: NOW - 600, jobState: 'failed' }), { status: 200, body: { id, jobState: 'failed', duration: 3000 } })
    t.match(await send(app, 'PUT', '/api/jobs/stop_job', { jobId: 777, cluster: 'alex', stopTime: NOW }), { status: 422, body: { code: 'TDM_ERR_JOBS_NOT_RUNNING' } })
    t.match(await send(app, 'GET', `/api/jobs/${id}`), { status: 200, body: { jobState: 'failed', metaData: null } }, 'and it stays')
  })

  void t.test(`meta data are set, by the id of the row and by that of the scheduler, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    t.match(await send(app, 'PATCH', '/api/jobs/edit_meta/3', { key: 'note', value: 'größer' }), { status: 200, body: { id: 3, metaData: { jobName: 'old', note: 'größer' } } })
    const { job_id: jobId, cluster, start_time: startTime } = data.jobs[3] ?? { job_id: 0, cluster: '', start_time: 0 }
    t.match(await send(app, 'PATCH', '/api/jobs/edit_meta/', { jobId, cluster, startTime, payload: { key: 'jobName', value: 'new' } }), { status: 200, body: { id: 4, metaData: { jobName: 'new' } } })
    t.match(await send(app, 'PATCH', '/api/jobs/edit_meta/999', { key: 'a', value: 'b' }), { status: 404 })
    t.match(await send(app, 'PATCH', '/api/jobs/edit_meta', { jobId: 1, payload: { key: 'a', value: 'b' } }), { status: 404 })
    const listed = await send<{ jobs: DetailedJob[] }>(app, 'GET', '/api/jobs?sort=id&limit=4&with-metadata=true')
    t.strictSame(listed.body.jobs.map(job => job.metaData), [{ jobName: 'old' }, { jobName: 'old' }, { jobName: 'old', note: 'größer' }, { jobName: 'new' }])
    t.strictSame(listed.body.jobs.map(job => job.energyFootprint), Array.from({ length: 4 }, () => ({ cpu_power: 1, mem_power: 0.5 })))
  })

  void t.test(`tags are given, taken and removed, on ${engine}`, async t => {
    const app = await openWith(t, engine, { ...data, jobTags: [] })
    const good = { type: 'note', name: 'good', scope: 'global' }
    const secret = { type: 'note', name: 'secret', scope: 'admin' }
    t.match(await send(app, 'POST', '/api/jobs/tag_job/2', [good, secret]), { status: 200, body: { id: 2, tags: [good, secret] } })
    t.match(await send(app, 'PATCH', '/api/jobs/tag_job/5', [{ type: 'note', name: 'good' }]), { status: 200, body: { tags: [good] } })
    const listed = await send<{ jobs: DetailedJob[] }>(app, 'GET', '/api/jobs?sort=id&limit=6')
    t.strictSame(listed.body.jobs.map(job => job.tags?.map(tag => tag.name)), [undefined, ['good', 'secret'], undefined, undefined, ['good'], undefined])
    const { body } = await send<{ tags: Array<{ id: number, name: string }>, counts: Record<string, number> }>(app, 'GET', '/api/tags')
    t.strictSame(body.tags.filter(({ name }) => ['good', 'secret'].includes(name)).map(({ id, name }) => body.counts[`note${name}${id}`]), [2, 1])

    t.match(await send(app, 'DELETE', '/api/jobs/tag_job/2', [good, { ...secret, scope: 'ann' }]), { status: 200, body: { tags: [secret] } }, 'what is somebody\'s own stays')
    t.match(await send(app, 'DELETE', '/api/jobs/tag_job/2', [{ type: 'note', name: 'none' }]), { status: 404, body: { code: 'TDM_ERR_JOBS_TAG_NOT_FOUND' } })
    t.match(await send(app, 'POST', '/api/jobs/tag_job/2', [{ ...good, scope: 'admin' }]), { status: 409, body: { code: 'TDM_ERR_JOBS_TAG_EXISTS' } })
    t.match(await send(app, 'POST', '/api/jobs/tag_job/2', [{ ...good, name: 'x', scope: 'ann' }]), { status: 403, body: { code: 'TDM_ERR_JOBS_FORBIDDEN_SCOPE' } })
    t.match(await send(app, 'POST', '/api/jobs/tag_job/999', [good]), { status: 404 })
    t.match(await send(app, 'DELETE', '/api/tags/', [good]), { status: 200, body: { msg: 'Deleted 1 tags', deleted: 1 } })
    t.notOk('tags' in (await send<DetailedJob>(app, 'GET', '/api/jobs/5')).body)

    const half = await send(app, 'POST', '/api/jobs/tag_job/7', [{ type: 'note', name: 'first' }, { ...secret, scope: 'global' }])
    t.equal(half.status, 409)
    t.notOk((await send<{ tags: Array<{ name: string }> }>(app, 'GET', '/api/tags')).body.tags.some(({ name }) => name === 'first'), 'nothing half done stays')
  })

  void t.test(`jobs are deleted, one or those before a time, on ${engine}`, async t => {
    const app = await openWith(t, engine, { ...data, jobTags: [{ job_id: 10, tag_id: 1 }, { job_id: 11, tag_id: 2 }] }) // app, note
    const count = async (): Promise<number> => (await send<{ count: number }>(app, 'GET', '/api/jobs/count')).body.count
    t.match(await send(app, 'DELETE', '/api/jobs/delete_job/1'), { status: 200, body: { msg: 'Successfully deleted job 1' } })
    t.match(await send(app, 'DELETE', '/api/jobs/delete_job/1'), { status: 404 })
    const { job_id: jobId, cluster, start_time: startTime } = data.jobs[1] ?? { job_id: 0, cluster: '', start_time: 0 }
    t.match(await send(app, 'DELETE', '/api/jobs/delete_job/', { jobId, cluster, startTime }), { status: 200, body: { msg: 'Successfully deleted job 2' } })
    t.equal(await count(), 38)
    const before = (data.jobs[19]?.start_time ?? 0) + 1
    const older = data.jobs.slice(2).filter(job => job.start_time < before).length
    t.match(await send(app, 'DELETE', `/api/jobs/delete_job_before/${before}?omit-tagged=all&limit=3`), { status: 200, body: { deleted: 3 } })
    t.match(await send(app, 'DELETE', `/api/jobs/delete_job_before/${before}?omit-tagged=all`), { status: 200, body: { deleted: older - 5 } })
    t.match(await send(app, 'DELETE', `/api/jobs/delete_job_before/${before}?omit-tagged=user`), { status: 200, body: { deleted: 1 } })
    t.match(await send(app, 'DELETE', `/api/jobs/delete_job_before/${before}`), { status: 200, body: { deleted: 1 } })
    t.match(await send(app, 'DELETE', `/api/jobs/delete_job_before/${before}?omit-tagged=some`), { status: 400 })
  })

  void t.test(`only [api] and admin with api may change anything, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    const writes: Array<[InjectOptions['method'], string, unknown?]> = [
      ['POST', '/api/jobs/start_job', newJob], ['PUT', '/api/jobs/start_job', newJob], ['POST', '/api/jobs/stop_job', { jobId: 1, stopTime: NOW }], ['PUT', '/api/jobs/stop_job', {}],
      ['PATCH', '/api/jobs/edit_meta/1', { key: 'a', value: 'b' }], ['PATCH', '/api/jobs/edit_meta', {}], ['POST', '/api/jobs/tag_job/1', []], ['PATCH', '/api/jobs/tag_job/1', []], ['DELETE', '/api/jobs/tag_job/1', []],
      ['DELETE', '/api/tags', []], ['DELETE', '/api/jobs/delete_job/1'], ['DELETE', '/api/jobs/delete_job', {}], [`DELETE`, '/api/jobs/delete_job_before/1']
    ]
    for (const roles of [['admin'], ['support'], ['user'], ['user', 'api'], ['manager', 'api'], ['support', 'api'], []] as const) {
      const headers = await bearer(app, roles)
      for (const [method, url, payload] of writes) t.match(await send(app, method, url, payload, headers), { status: 403, body: { code: 'TDM_ERR_JOBS_FORBIDDEN_USE' } }, `${roles.join()} ${method} ${url}`)
    }
    t.match(await send(app, 'POST', '/api/jobs/start_job', newJob, await bearer(app, ['api'])), { status: 201 })
    t.match(await send(app, 'DELETE', '/api/jobs/delete_job/1', undefined, await bearer(app, ['admin', 'api'])), { status: 200 })

    for (const [roles, status] of [[['api'], 200], [['user', 'api'], 200], [['user'], 403], [['admin'], 403]] as const) {
      const headers = await bearer(app, roles)
      for (const url of ['/userapi/jobs', `/api/jobs/used_nodes?ts=${NOW}`]) t.equal((await send(app, 'GET', url, undefined, headers)).status, status, `${roles.join()} ${url}`)
    }
    for (const url of ['/api/partitions?cluster=alex', '/api/allocated_nodes?cluster=alex']) {
      t.equal((await send(app, 'GET', url, undefined, await bearer(app, ['user']))).status, 200)
      t.match(await send(app, 'GET', url, undefined, await bearer(app, [])), { status: 403, body: { code: 'TDM_ERR_JOBS_FORBIDDEN_ROLE' } })
    }
  })

  void t.test(`what a body holds that is not known is refused, naming the place, on ${engine}`, async t => {
    const app = await openWith(t, engine, data)
    const refused: Array<[InjectOptions['method'], string, unknown, string]> = [
      ['POST', '/api/jobs/start_job', { ...newJob, jobname: 'x' }, '/body/jobname'], ['POST', '/api/jobs/start_job', { ...newJob, resources: [{ hostname: 'a', host: 'b' }] }, '/body/resources/0/host'],
      ['POST', '/api/jobs/start_job', { ...newJob, shared: 'all' }, '/body/shared'], ['POST', '/api/jobs/start_job', { ...newJob, user: undefined }, '/body/user'],
      ['POST', '/api/jobs/stop_job', { jobId: 1, stopTime: NOW, state: 'x' }, '/body/state'], ['POST', '/api/jobs/stop_job', { jobId: 1 }, '/body/stopTime'],
      ['PATCH', '/api/jobs/edit_meta', { jobId: 1, payload: { key: 'a', value: 'b', more: 1 } }, '/body/payload/more'], ['PATCH', '/api/jobs/edit_meta/1', { key: 'a', value: 'b', id: 1 }, '/body/id'],
      ['POST', '/api/jobs/tag_job/1', [{ type: 'a', name: 'b', color: 'red' }], '/body/0/color'], ['DELETE', '/api/jobs/delete_job', { jobId: 1, all: true }, '/body/all']
    ]
    for (const [method, url, payload, pointer] of refused) {
      const { status, body } = await send(app, method, url, payload)
      t.equal(status, 400, url)
      t.match(body.message, pointer.slice(1).replace(/\/(user|stopTime)$/, ''), `${url} ${pointer}`)
    }
    t.match(await send(app, 'POST', '/api/jobs/start_job', { ...newJob, numNodes: 2 }), { status: 400, body: { code: 'TDM_ERR_JOBS_BAD_INPUT' } })
    t.equal((await send<{ count: number }>(app, 'GET', '/api/jobs/count')).body.count, data.jobs.length)
  })
}
