/** The provider of our own for trying: its page, its tokens, its profiles. To this machine only; elsewhere there is no such route. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import formbody from '@fastify/formbody'
import type { VaultContext } from '../../common/context.ts'
import { BadRequest, NotFound, TokenRevoked } from '../../common/errors.ts'
import { isLocal } from '../../common/local.ts'
import { API, closed, describe } from '../../common/route.ts'
import { originOf } from '../access.ts'
import { MockProvider, testPersons, type TokenRequest } from '../mock-provider.ts'

const text = (maxLength: number) => Type.String({ maxLength })

const Authorize = Type.Object({
  response_type: Type.Literal('code'),
  client_id: text(100),
  redirect_uri: text(500),
  state: text(500),
  code_challenge: text(200),
  code_challenge_method: Type.Literal('S256'),
  scope: Type.Optional(text(200)),
  as: Type.Optional(text(40))
})

interface AuthorizeQuery { redirect_uri: string, state: string, code_challenge: string, as?: string }

const TokenBody = closed({
  grant_type: text(40), code: text(200), redirect_uri: text(500), code_verifier: text(200), client_id: text(100), client_secret: text(200)
})

export function mockRoutes (app: FastifyInstance, context: VaultContext): void {
  const provider = new MockProvider(context.now)
  const refuseOthers = async (request: FastifyRequest): Promise<void> => {
    if (!context.settings.devTools || !isLocal(request)) throw new NotFound(`route ${request.method} ${request.url.split('?')[0]}`)
  }

  const authorize = describe({ family: 'auth', summary: 'Test persons to sign in as', querystring: Authorize, answers: { 200: null, 302: null } })
  app.get<{ Querystring: AuthorizeQuery }>(`${API}/auth/mock/authorize`, { ...authorize, config: { ...authorize.config, tx: false }, onRequest: refuseOthers }, async (request, reply) => {
    const { redirect_uri: redirectUri, state, code_challenge: challenge, as } = request.query
    if (redirectUri !== `${originOf(request, context)}${API}/auth/mock/callback`) throw new BadRequest('redirect_uri is not the one that is registered.')
    if (as === undefined) return reply.type('text/html; charset=utf-8').header('content-security-policy', `default-src 'none'; style-src 'self'`).header('cache-control', 'no-store').send(page(request.url, redirectUri, state))
    const code = provider.grant(as, redirectUri, challenge)
    if (code === undefined) throw new BadRequest('there is no such test person.')
    return reply.redirect(`${redirectUri}?${new URLSearchParams({ code, state }).toString()}`)
  })

  app.register(async scope => {
    await scope.register(formbody)
    const token = describe({ family: 'auth', summary: 'A token for a code', body: TokenBody, answers: { 200: Type.Object({ access_token: Type.String(), token_type: Type.String(), expires_in: Type.Integer() }) } })
    scope.post<{ Body: TokenRequest }>(`${API}/auth/mock/token`, { ...token, config: { ...token.config, tx: false }, onRequest: refuseOthers }, async ({ body }) =>
      ({ access_token: provider.exchange(body), token_type: 'Bearer', expires_in: 3600 }))
  })

  const userinfo = describe({
    family: 'auth',
    summary: 'Who a token is of',
    answers: { 200: Type.Object({ sub: Type.String(), name: Type.String(), email: Type.String(), email_verified: Type.Boolean(), picture: Type.Null() }) }
  })
  app.get(`${API}/auth/mock/userinfo`, { ...userinfo, config: { ...userinfo.config, tx: false }, onRequest: refuseOthers }, async ({ headers }) => {
    const person = provider.find(headers.authorization?.replace(/^Bearer /, '') ?? '')
    if (person === undefined) throw new TokenRevoked()
    return { ...person, email_verified: true, picture: null }
  })
}

/** Plain: nothing of it is the app's, as with a real provider. */
function page (url: string, redirectUri: string, state: string): string {
  const links = testPersons.map(({ sub, name }) => `<li><a href="${escape(`${url}&as=${sub}`)}">${escape(name)}</a></li>`).join('\n')
  const denied = `${redirectUri}?${new URLSearchParams({ error: 'access_denied', state }).toString()}`
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>Sign in as</title>
<main><h1>Sign in as a test person</h1><ul>${links}</ul><p><a href="${escape(denied)}">None of them</a></p><p>This page is there for trying; VAULT_DEV_TOOLS=off takes it away.</p></main></html>`
}

function escape (text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
