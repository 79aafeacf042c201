/** A development database, from the beginning again. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { isLocal } from '../../common/local.ts'
import { API, closed, describe } from '../../common/route.ts'
import { seedDemo } from '../../demo/seed.ts'
import { internalOnly, routeNotFound } from '../access.ts'
import { NotDev } from '../errors.ts'
import { isDev } from '../store/environment.ts'
import { countRows, wipeRuntimeData } from '../store/wipe.ts'

const Counts = Type.Record(Type.String(), Type.Integer(), { description: 'rows by table' })
const Reset = closed({
  wipe: Type.Boolean({ description: 'people, groups and all that is theirs' }),
  seed: Type.Boolean({ description: 'the demo group, if there is none' })
})
const ResetDone = closed({ wiped: Type.Union([Counts, Type.Null()]), rows: Counts })

export function resetRoute (app: FastifyInstance, { settings, now }: VaultContext): void {
  const allowed = internalOnly(settings)
  app.post<{ Body: Static<typeof Reset> }>(`${API}/internal/dev/reset`, {
    ...describe({ family: 'internal', summary: 'Wipes a development database, and fills it', body: Reset, answers: { 200: ResetDone } }),
    onRequest: async (request, reply) => {
      if (!settings.devTools || !isLocal(request)) throw routeNotFound(request)
      await allowed(request, reply)
    }
  }, async ({ body: { wipe, seed } }) => {
    if (!await isDev(app.db)) throw new NotDev()
    const wiped = wipe ? await wipeRuntimeData(app.db) : null
    if (seed) await seedDemo(app.db, now())
    return { wiped, rows: await countRows(app.db) }
  })
}
