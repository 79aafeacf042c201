/** What a plugin reports of containers. The store has its own transactions, since nearly all reports change nothing and need no lock of the group. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { deviceOf } from '../../groups/access.ts'
import { containerNames, isContainerName, type ContainerName } from '../containers.ts'
import { readContent, readStacks, refuse } from '../content.ts'
import { ContainerUnknown } from '../errors.ts'
import { ClearQuery, ContainerParams, DeltaBody, GroupVersion, MOST_BYTES, ReplaceBody, ResultAnswer, UploadBody } from '../schema.ts'
import { applyContainers } from '../store/apply.ts'
import { clearContainer } from '../store/clear.ts'
import { applyDelta } from '../store/deltas.ts'
import { readTime } from '../times.ts'

const Results = Type.Object({ groupVersion: GroupVersion, results: Type.Record(Type.String(), ResultAnswer) })
const OneResult = Type.Object({ groupVersion: GroupVersion, result: ResultAnswer })
const DeltaAnswer = Type.Object({ groupVersion: GroupVersion, result: Type.Union(['applied', 'duplicate', 'superseded'].map(word => Type.Literal(word))) })
type Params = Static<typeof ContainerParams>
type ReplaceBody = Static<typeof ReplaceBody>

export function uploadRoutes (app: FastifyInstance, { now }: VaultContext): void {
  const options = (described: ReturnType<typeof describe>) => ({
    ...described, config: { ...described.config, tx: false as const }, bodyLimit: MOST_BYTES, onRequest: app.inGroup.plugin
  })

  app.post<{ Body: Static<typeof UploadBody> }>(`${API}/sync/containers`,
    options(describe({ family: 'sync', summary: 'What is in some containers, all or nothing', body: UploadBody, answers: { 200: Results } })),
    async (request) => {
      const { epoch, seq, capturedAt, containers } = request.body
      const contents = new Map(Object.entries(containers).map(([name, reported]) => [name as ContainerName, readContent(name as ContainerName, reported?.items ?? [], `/body/containers/${name}/items`)]))
      return await applyContainers(app.db, deviceOf(request), { epoch, seq, capturedAt: readTime(capturedAt, '/body/capturedAt'), contents }, now())
    })

  app.put<{ Params: Params, Body: ReplaceBody }>(`${API}/sync/containers/:container`,
    options(describe({ family: 'sync', summary: 'What is in one container', params: ContainerParams, body: ReplaceBody, answers: { 200: OneResult } })),
    async (request) => {
      const name = nameOf(request.params)
      const { epoch, seq, capturedAt, items } = request.body
      const upload = { epoch, seq, capturedAt: readTime(capturedAt, '/body/capturedAt'), contents: new Map([[name, readContent(name, items, '/body/items')]]) }
      const { groupVersion, results } = await applyContainers(app.db, deviceOf(request), upload, now())
      return { groupVersion, result: results[name] }
    })

  app.delete<{ Params: Params, Querystring: Static<typeof ClearQuery> }>(`${API}/sync/containers/:container`,
    options(describe({ family: 'sync', summary: 'A container is not to be seen any more, as if never synced', params: ContainerParams, querystring: ClearQuery, answers: { 200: OneResult } })),
    async (request) => await clearContainer(app.db, deviceOf(request), nameOf(request.params), request.query, now()))

  app.post<{ Body: Static<typeof DeltaBody> }>(`${API}/sync/deltas`,
    options(describe({ family: 'sync', summary: 'What was put into the bank while that was not to be seen', body: DeltaBody, answers: { 200: DeltaAnswer } })),
    async (request) => {
      const { deltaId, epoch, seq, add } = request.body
      const empty = add.findIndex(([itemId, quantity]) => itemId <= 0 || quantity <= 0)
      if (empty >= 0) throw refuse(`/body/add/${empty}`, 'adds nothing')
      return await applyDelta(app.db, deviceOf(request), { deltaId: deltaId.toLowerCase(), epoch, seq, add: readStacks(add, '/body/add') }, now())
    })
}

/** Throws `CONTAINER_UNKNOWN`. */
function nameOf ({ container }: Params): ContainerName {
  if (!isContainerName(container)) throw new ContainerUnknown(containerNames.join(', '))
  return container
}
