/** How a plugin gets its token, as RFC 8628 has it. The answers to a poll have the codes of that standard. */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { originOf, sessionOf } from '../../auth/access.ts'
import type { VaultContext } from '../../common/context.ts'
import { API, describe } from '../../common/route.ts'
import { formatCode, parseCode } from '../../common/secrets.ts'
import { AccessDenied, asOfOAuth, AuthorizationPending, ExpiredToken, SlowDown, UserCodeInvalid } from '../errors.ts'
import { checkPluginVersion } from '../plugin-version.ts'
import { ApproveAnswer, ApproveBody, PollAnswer, PollBody, StartAnswer, StartBody } from '../schema.ts'
import { approvePairing, createPairing, INTERVAL_S, LIFE_S, pollPairing, type Paired, type Polled } from '../store/pairings.ts'
import { WrongCodes } from '../wrong-codes.ts'

export function pairingRoutes (app: FastifyInstance, context: VaultContext): void {
  const { now } = context
  const wrongCodes = new WrongCodes()

  app.post<{ Body: Static<typeof StartBody> }>(`${API}/sync/pair/start`, {
    ...describe({ family: 'sync', summary: 'A plugin asks for a code', body: StartBody, answers: { 200: StartAnswer } }),
    onRequest: app.limitTo({ max: 30, seconds: 3600, by: ({ ip }) => ip })
  }, async (request) => {
    const { pluginName, pluginVersion, deviceLabel: label = pluginName } = request.body
    checkPluginVersion(pluginVersion)
    const { deviceCode, userCode } = await createPairing(app.db, { pluginName, pluginVersion, label }, now())
    const verificationUri = `${originOf(request, context) ?? `${request.protocol}://${request.host}`}/app/link`
    const shown = formatCode(userCode)
    return { deviceCode, userCode: shown, verificationUri, verificationUriComplete: `${verificationUri}?code=${shown}`, expiresIn: LIFE_S, interval: INTERVAL_S }
  })

  const described = describe({ family: 'sync', summary: 'A plugin asks whether its code was confirmed', body: PollBody, answers: { 200: PollAnswer } })
  app.post<{ Body: Static<typeof PollBody> }>(`${API}/sync/pair/poll`, {
    ...described,
    // when it was asked is kept although the answer is an error, so the store commits by itself
    config: { ...described.config, tx: false }
  }, async ({ body }) => toAnswer(await pollPairing(app.db, body.deviceCode, now())))

  app.post<{ Body: Static<typeof ApproveBody> }>(`${API}/sync/pair/approve`, {
    ...describe({ family: 'sync', summary: 'A member confirms the code of a plugin, or refuses it', body: ApproveBody, answers: { 200: ApproveAnswer } }),
    onRequest: app.access.signedIn
  }, async (request) => {
    const { userId } = sessionOf(request)
    const { userCode, groupId, allow, label } = request.body
    wrongCodes.check(userId, now())
    try {
      return await approvePairing(app.db, { userCode: parseCode(userCode) ?? '', groupId, userId, allow, label }, now())
    } catch (error) {
      if (error instanceof UserCodeInvalid) wrongCodes.note(userId, now())
      throw error
    }
  })
}

/** Throws what is not the end. */
function toAnswer (polled: Polled): Paired {
  switch (polled.state) {
    case 'paired': return polled.paired
    case 'pending': throw asOfOAuth(new AuthorizationPending())
    case 'too soon': throw asOfOAuth(new SlowDown(polled.intervalS))
    case 'denied': throw asOfOAuth(new AccessDenied())
    case 'expired': throw asOfOAuth(new ExpiredToken())
  }
}
