/** A plugin says hello, begins a session, asks what is known, and that its player is there. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { isName, LONGEST_CHARACTER_NAME } from '../../common/names.ts'
import { API, describe } from '../../common/route.ts'
import { deviceOf, PLUGIN_LIMIT } from '../../groups/access.ts'
import { containers, MOST_OF_ITEM } from '../containers.ts'
import { refuse } from '../content.ts'
import { checkPluginVersion, LEAST_PLUGIN_VERSION } from '../plugin-version.ts'
import { HeartbeatBody, HelloAnswer, HelloQuery, MOST_BYTES, MOST_DELTA_ITEMS, MOST_EVENT_BYTES, MOST_EVENTS, SessionAnswer, SessionBody, StateAnswer } from '../schema.ts'
import { getSyncState, openSyncSession } from '../store/sessions.ts'
import { getStanding, notePluginVersion, touchPresence } from '../store/standing.ts'
import { readTime } from '../times.ts'

const limits = {
  containers, quantity: MOST_OF_ITEM, bodyBytes: MOST_BYTES, deltaItems: MOST_DELTA_ITEMS, events: MOST_EVENTS, eventBytes: MOST_EVENT_BYTES, requests: PLUGIN_LIMIT
}
const intervals = { activeSeconds: 2, idleSeconds: 30 }

export function sessionRoutes (app: FastifyInstance, { now }: VaultContext): void {
  app.get<{ Querystring: Static<typeof HelloQuery> }>(`${API}/sync/hello`, {
    ...describe({ family: 'sync', summary: 'Whom a plugin reports for, and within which limits', querystring: HelloQuery, answers: { 200: HelloAnswer } }),
    onRequest: app.inGroup.plugin
  }, async (request) => {
    const device = deviceOf(request)
    const { pluginVersion = device.pluginVersion } = request.query
    checkPluginVersion(pluginVersion)
    if (pluginVersion !== device.pluginVersion) await app.db.outsideTx(async () => { await notePluginVersion(app.db, device.tokenId, pluginVersion) })
    return { serverTime: new Date(now()).toISOString(), ...await getStanding(app.db, device), limits, minPluginVersion: LEAST_PLUGIN_VERSION, intervals }
  })

  app.post<{ Body: Static<typeof SessionBody> }>(`${API}/sync/sessions`, {
    ...describe({ family: 'sync', summary: 'A plugin starts: a larger epoch than any before', body: SessionBody, answers: { 201: SessionAnswer } }),
    onRequest: app.inGroup.plugin
  }, async (request, reply) => {
    const { accountHash, characterName } = request.body
    if (!isAccount(accountHash)) throw refuse('/body/accountHash', 'is not an account: a signed 64-bit number, and -1 is nobody')
    if (!isName(characterName, LONGEST_CHARACTER_NAME)) throw refuse('/body/characterName', `is not a name of 1 to ${LONGEST_CHARACTER_NAME} characters`)
    const clientTime = readTime(request.body.clientTime, '/body/clientTime')
    const session = await openSyncSession(app.db, deviceOf(request), { accountHash, characterName, clientTime }, now())
    return await reply.code(201).send(session)
  })

  app.get(`${API}/sync/state`, {
    ...describe({ family: 'sync', summary: 'What is known already, and need not be sent', answers: { 200: StateAnswer } }),
    onRequest: app.inGroup.plugin
  }, async (request) => {
    const { epoch, containers: known } = await getSyncState(app.db, deviceOf(request))
    return { epoch, containers: Object.fromEntries(Object.entries(known).map(([name, { capturedAt, ...rest }]) => [name, { ...rest, capturedAt: new Date(capturedAt).toISOString() }])) }
  })

  const described = describe({ family: 'sync', summary: 'The player is there', body: HeartbeatBody, answers: { 204: null } })
  app.post<{ Body: Static<typeof HeartbeatBody> }>(`${API}/sync/heartbeat`, {
    ...described,
    config: { ...described.config, tx: false },
    bodyLimit: 4096,
    onRequest: app.inGroup.plugin
  }, async (request, reply) => {
    const { world = null, activity = null } = request.body
    await touchPresence(app.db, deviceOf(request), { world, activity }, now())
    return await reply.code(204).send()
  })
}

function isAccount (text: string): boolean {
  return text !== '-1' && BigInt.asIntN(64, BigInt(text)) === BigInt(text)
}
