/**
 * The 80 routes of the group vault as they are meant to be: family, method, path, and who may ask.
 *
 * P: everybody. S: who is signed in. M: a member of the group. R: a member, or everybody for the demo group. A: its admins. O: its owner. self: the member itself, and admins. T: a plugin by its token.
 * compat: a plugin by the token of its group. Op: who operates the app. X: by the internal key. Sig: signed by the payment provider. Dev: only with the tools for trying.
 */
import type { Family } from '../../../services/common/route.ts'

export type Access = 'P' | 'S' | 'M' | 'R' | 'A' | 'O' | 'self' | 'T' | 'compat' | 'Op' | 'X' | 'Sig' | 'Dev' | 'X+Dev'

export interface ExpectedRoute { readonly family: Family, readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', readonly path: string, readonly access: Access }

const table: Readonly<Record<Family, string>> = {
  auth: `
    P GET /auth/providers
    P GET /auth/:provider/start
    P GET /auth/:provider/callback
    Dev GET /auth/mock/authorize
    Dev POST /auth/mock/token
    Dev GET /auth/mock/userinfo
    S GET /auth/me
    S PATCH /auth/me
    P POST /auth/logout
    S GET /auth/sessions
    S DELETE /auth/sessions/:sessionId
    S DELETE /auth/identities/:provider
    S DELETE /auth/me`,
  group: `
    S POST /groups
    S GET /groups
    M GET /groups/:groupId
    A PATCH /groups/:groupId
    O DELETE /groups/:groupId
    M GET /groups/:groupId/summary
    S GET /groups/join/:code
    S POST /groups/join
    A PUT /groups/:groupId/join-code
    M GET /groups/:groupId/roster
    self PATCH /groups/:groupId/members/:memberId
    A DELETE /groups/:groupId/members/:memberId
    M POST /groups/:groupId/leave
    O POST /groups/:groupId/transfer
    R GET /groups/:groupId/vault
    R GET /groups/:groupId/vault/items/:itemId
    R GET /groups/:groupId/members/:memberId/containers
    R GET /groups/:groupId/vault/changes
    M GET /groups/:groupId/activity
    A GET /groups/:groupId/webhooks
    A POST /groups/:groupId/webhooks
    A PATCH /groups/:groupId/webhooks/:webhookId
    A DELETE /groups/:groupId/webhooks/:webhookId
    A POST /groups/:groupId/webhooks/:webhookId/test
    A GET /groups/:groupId/webhooks/:webhookId/deliveries
    M GET /groups/:groupId/tokens
    M DELETE /groups/:groupId/tokens/:tokenId`,
  sync: `
    P POST /sync/pair/start
    P POST /sync/pair/poll
    S POST /sync/pair/approve
    T GET /sync/hello
    T POST /sync/sessions
    T POST /sync/containers
    T PUT /sync/containers/:container
    T POST /sync/deltas
    T GET /sync/state
    T POST /sync/heartbeat
    T POST /sync/events
    T DELETE /sync/containers/:container
    compat GET //api/group/:groupName/am-i-in-group
    compat POST //api/group/:groupName/update-group-member`,
  web: `
    P GET //
    P GET //demo
    S GET //app
    M GET //app/groups/:groupId
    S GET //app/link
    P GET //join/:code
    P GET /web/bootstrap
    R GET /web/groups/:groupId/events
    P GET /catalog/items
    P GET /catalog/items/:itemId`,
  billing: `
    P GET /billing/plans
    M GET /billing/groups/:groupId
    O POST /billing/groups/:groupId/checkout
    O POST /billing/groups/:groupId/portal
    O POST /billing/groups/:groupId/cancel
    Sig POST /billing/webhook
    Dev POST /billing/mock/events`,
  ops: `
    P GET /healthz
    P GET /readyz
    Op GET /ops/catalog/snapshots
    Op POST /ops/catalog/refresh
    Op POST /ops/catalog/rollback
    Op PUT /ops/flags/:key`,
  internal: `
    X GET /internal/metrics
    X POST /internal/outbox/run
    X+Dev POST /internal/dev/reset`
}

export const expectedRoutes: readonly ExpectedRoute[] = (Object.keys(table) as Family[]).flatMap(family => table[family].trim().split('\n').map(line => {
  const [access = '', method = '', path = ''] = line.trim().split(' ')
  return { family, access: access as Access, method: method as ExpectedRoute['method'], path: path.startsWith('//') ? path.slice(1) : `/api/v1${path}` }
}))
