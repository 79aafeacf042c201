/** What there is to be had, and what a group has. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { API, describe } from '../../common/route.ts'
import type { BillingContext } from '../context.ts'
import { planIds, plans } from '../plans.ts'
import { InGroup, Plans, State } from '../schema.ts'
import { getBillingState } from '../store/state.ts'

export function stateRoutes (app: FastifyInstance, { now }: BillingContext): void {
  app.get(`${API}/billing/plans`, {
    ...describe({ family: 'billing', summary: 'The plans', answers: { 200: Plans } })
  }, () => ({ plans: planIds.map(id => plans[id]) }))

  app.get<{ Params: Static<typeof InGroup> }>(`${API}/billing/groups/:groupId`, {
    ...describe({ family: 'billing', summary: 'What a group has', params: InGroup, answers: { 200: State } }),
    onRequest: app.inGroup.member
  }, async ({ params: { groupId } }) => await getBillingState(app.db, groupId, now()))
}
