/**
 * Signing in: which ways there are, the way to the provider, and back.
 *
 * What is kept true: whatever a provider answers, people come back to the landing page with a reason, and never see a failure of the server. Nobody is sent to another site
 * than the provider's.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { VaultContext } from '../../common/context.ts'
import { BadRequest } from '../../common/errors.ts'
import { API, closed, describe } from '../../common/route.ts'
import { originOf, setSessionCookie } from '../access.ts'
import { ProviderUnknown } from '../errors.ts'
import { MOCK_HOST } from '../mock-provider.ts'
import { requireOrigin, type Provider } from '../providers.ts'
import { ProviderInfo } from '../schema.ts'
import { signIn } from '../store/sign-in.ts'

const ByProvider = Type.Object({ provider: Type.String({ maxLength: 20 }) })

export function signInRoutes (app: FastifyInstance, context: VaultContext, providers: ReadonlyMap<string, Provider>): void {
  // each is counted on its way there and on its way back
  const limitLogins = app.limitTo({ max: 40, seconds: 600, by: ({ ip }) => `login ${ip}` })

  app.get(`${API}/auth/providers`, {
    ...describe({ family: 'auth', summary: 'The ways to sign in', answers: { 200: Type.Array(ProviderInfo) } })
  }, async () => [...providers.values()].map(({ id, label, isMock }) => ({ id, label, mock: isMock })))

  const start = describe({
    family: 'auth',
    summary: 'Leads to the provider',
    params: ByProvider,
    querystring: closed({ returnTo: Type.Optional(Type.String({ maxLength: 500, description: 'a path of this app, to come back to' })) }),
    answers: { 302: null }
  })
  app.get<{ Params: { provider: string }, Querystring: { returnTo?: string } }>(`${API}/auth/:provider/start`, { ...start, config: { ...start.config, tx: false }, onRequest: limitLogins }, async (request, reply) => {
    const provider = find(request.params.provider)
    const { returnTo = '/app' } = request.query
    if (!isOwnPath(returnTo)) throw new BadRequest('returnTo is a path of this app, such as /app.')
    const origin = requireOrigin(originOf(request, context))
    const url = await provider.oauth.generateAuthorizationUri(request, reply)
    reply.setCookie(returnCookie(provider), returnTo, { ...returnOptions, secure: origin.startsWith('https:') })
    return reply.redirect(provider.isMock ? url.replace(MOCK_HOST, origin) : url)
  })

  // its address holds a code: not for the log
  const callback = describe({
    family: 'auth',
    summary: 'Back from the provider',
    params: ByProvider,
    querystring: Type.Object({ code: Type.Optional(Type.String({ maxLength: 2000 })), state: Type.Optional(Type.String({ maxLength: 2000 })), error: Type.Optional(Type.String({ maxLength: 200 })) }),
    answers: { 302: null }
  })
  app.get<{ Params: { provider: string }, Querystring: { code?: string, error?: string } }>(`${API}/auth/:provider/callback`, { ...callback, config: { ...callback.config, tx: false }, onRequest: [limitLogins, app.access.anybody], logLevel: 'warn' }, async (request, reply) => {
    const provider = find(request.params.provider)
    const returnTo = request.cookies[returnCookie(provider)] ?? '/app'
    reply.clearCookie(returnCookie(provider), returnOptions)
    const failure = await comeBack(request, reply, provider)
    return reply.redirect(failure === undefined ? isOwnPath(returnTo) ? returnTo : '/app' : `/?login=failed&reason=${failure}`)
  })

  /** Undefined: signed in. Otherwise the reason for people. */
  async function comeBack (request: FastifyRequest<{ Querystring: { code?: string, error?: string } }>, reply: FastifyReply, { id, oauth, fetchProfile }: Provider): Promise<'denied' | 'state' | 'exchange' | 'profile' | 'taken' | undefined> {
    if (request.query.error !== undefined) return 'denied'
    if (request.query.code === undefined) return 'state'
    const token = await oauth.getAccessTokenFromAuthorizationCodeFlow(request, reply).catch((error: unknown) => fail(request, error))
    if (token instanceof Error) return token.message === 'Invalid state' ? 'state' : 'exchange'
    const profile = await fetchProfile(token.token.access_token).catch((error: unknown) => fail(request, error))
    if (profile instanceof Error) return 'profile'
    const isOperator = context.settings.operators.has(`${id}:${profile.subject}`)
    const signedIn = await signIn(app.db, { provider: id, profile, isOperator, userAgent: request.headers['user-agent'] ?? '', session: request.session }, context.now())
    if (signedIn === 'taken') return 'taken'
    setSessionCookie(request, reply, context, signedIn.sessionId)
    return undefined
  }

  function find (id: string): Provider {
    const provider = providers.get(id)
    if (provider === undefined) throw new ProviderUnknown()
    return provider
  }
}

/** What a provider says is logged without its text, which can hold codes. */
function fail ({ log }: FastifyRequest, error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error('unknown')
  log.warn({ type: name }, 'a sign-in failed')
  return new Error(message)
}

const returnOptions = { path: `${API}/auth`, httpOnly: true, sameSite: 'lax', maxAge: 600 } as const

function returnCookie ({ id }: Provider): string {
  return `vault_return_${id}`
}

/** Browsers take `//host` and `/\host` for other sites. */
export function isOwnPath (path: string): boolean {
  return /^\/(?![/\\])[^\\\p{C}]*$/u.test(path)
}
