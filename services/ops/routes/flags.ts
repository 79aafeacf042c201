/** `PUT /ops/flags/:key`: operators switch a feature. */
import type { FastifyInstance } from 'fastify'
import { Type, type Static } from 'typebox'
import { sessionOf } from '../../auth/access.ts'
import { planIds } from '../../billing/plans.ts'
import type { VaultContext } from '../../common/context.ts'
import { API, closed, describe, idOf } from '../../common/route.ts'
import { listGroupSwitches, setFeatureFlag } from '../flags.ts'

const Key = Type.Object({ key: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$', description: 'of the feature, as live' }) })
const MinPlan = Type.Union([Type.Enum([...planIds]), Type.Null()], { description: 'null: all plans' })
const GroupSwitch = closed({ groupId: idOf('group'), enabled: Type.Union([Type.Boolean(), Type.Null()], { description: 'null: as for all' }) })

const FlagChange = closed({
  enabled: Type.Boolean(),
  minPlan: Type.Optional(MinPlan),
  description: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  groups: Type.Optional(Type.Array(GroupSwitch, { maxItems: 100, description: 'groups that are not named stay as they are' }))
})
const FlagAnswer = Type.Object({
  key: Type.String(),
  enabled: Type.Boolean(),
  minPlan: MinPlan,
  description: Type.String(),
  updatedAt: Type.String({ format: 'date-time' }),
  groups: Type.Array(Type.Object({ groupId: Type.String(), enabled: Type.Boolean() }))
})

export function flagRoutes (app: FastifyInstance, { now }: VaultContext): void {
  app.put<{ Params: Static<typeof Key>, Body: Static<typeof FlagChange> }>(`${API}/ops/flags/:key`, {
    ...describe({ family: 'ops', summary: 'Switch a feature: for all, from a plan on, or for groups', params: Key, body: FlagChange, answers: { 200: FlagAnswer } }),
    onRequest: app.access.operator
  }, async request => {
    const { params: { key }, body: { minPlan = null, groups = [], ...change } } = request
    const flag = await setFeatureFlag(app.db, { ...change, key, minPlan, groups, actorUserId: sessionOf(request).userId }, now())
    return { ...flag, groups: await listGroupSwitches(app.db, key) }
  })
}
