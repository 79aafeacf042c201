/**
 * The ways to sign in: those that are configured, and one of our own for trying. @fastify/oauth2 does the protocol: state, PKCE, the exchange of the code.
 *
 * What is kept true: each provider has cookies of its own, so that two sign-ins in two tabs do not meet; where the app is reached over TLS, cookies are sent over TLS only,
 * and nobody but this host can set them.
 */
import oauth2, { fastifyOauth2, type FastifyOAuth2Options, type OAuth2Namespace, type ProviderConfiguration } from '@fastify/oauth2'
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { API } from '../common/route.ts'
import type { Provider as RealProvider } from '../settings.ts'
import { originOf } from './access.ts'
import { OriginUnknown } from './errors.ts'
import { mockAgent, mockConfiguration, mockSecret } from './mock-provider.ts'
import { readers, type Profile, type ProfileReader } from './profile.ts'

export interface Provider {
  readonly id: string
  /** For people. */
  readonly label: string
  readonly isMock: boolean
  readonly oauth: OAuth2Namespace
  /** Throws for an answer that is none. */
  readonly fetchProfile: (accessToken: string) => Promise<Profile>
}

interface Preset {
  readonly label: string
  readonly auth: ProviderConfiguration
  readonly scope: string[]
  readonly profileUrl: string
  readonly read: ProfileReader
}

const presets: Readonly<Record<RealProvider, Preset>> = {
  discord: { label: 'Discord', auth: fastifyOauth2.DISCORD_CONFIGURATION, scope: ['identify', 'email'], profileUrl: 'https://discord.com/api/users/@me', read: readers.discord },
  github: { label: 'GitHub', auth: fastifyOauth2.GITHUB_CONFIGURATION, scope: ['read:user'], profileUrl: 'https://api.github.com/user', read: readers.github },
  google: { label: 'Google', auth: fastifyOauth2.GOOGLE_CONFIGURATION, scope: ['openid', 'profile', 'email'], profileUrl: 'https://openidconnect.googleapis.com/v1/userinfo', read: readers.google },
  twitch: { label: 'Twitch', auth: fastifyOauth2.TWITCH_CONFIGURATION, scope: ['user:read:email'], profileUrl: 'https://api.twitch.tv/helix/users', read: readers.twitch }
}

const PROFILE_TIMEOUT_MS = 10_000

/** Registers what is configured. By id. */
export async function registerProviders (app: FastifyInstance, context: VaultContext): Promise<ReadonlyMap<string, Provider>> {
  const providers = new Map<string, Provider>()
  for (const [id, client] of context.settings.oauth) {
    const { label, auth, scope, profileUrl, read } = presets[id]
    const oauth = await register(app, context, id, { scope, credentials: { client, auth } })
    const fetchProfile = async (token: string): Promise<Profile> => read(await fetchJson(profileUrl, token, client.id))
    providers.set(id, { id, label, isMock: false, oauth, fetchProfile })
  }
  if (context.settings.devTools) providers.set('mock', await registerMock(app, context))
  return providers
}

async function registerMock (app: FastifyInstance, context: VaultContext): Promise<Provider> {
  const http = { agents: { http: mockAgent(app), https: mockAgent(app), httpsAllowUnauthorized: mockAgent(app) } }
  const oauth = await register(app, context, 'mock', { scope: ['profile'], credentials: { client: { id: 'mock', secret: mockSecret }, auth: mockConfiguration, http, options: { authorizationMethod: 'body' } } })
  const fetchProfile = async (token: string): Promise<Profile> => {
    const answer = await app.inject({ url: `${API}/auth/mock/userinfo`, headers: { authorization: `Bearer ${token}` } })
    return readers.mock(answer.json())
  }
  return { id: 'mock', label: 'a test person', isMock: true, oauth, fetchProfile }
}

async function register (app: FastifyInstance, context: VaultContext, id: string, options: Pick<FastifyOAuth2Options, 'scope' | 'credentials'>): Promise<OAuth2Namespace> {
  const name = `oauth-${id}`
  const secure = context.settings.url?.startsWith('https:') === true
  const prefix = secure ? '__Host-vault' : 'vault'
  await app.register(oauth2, {
    ...options,
    name,
    pkce: 'S256',
    callbackUri: request => `${requireOrigin(originOf(request, context))}${API}/auth/${id}/callback`,
    redirectStateCookieName: `${prefix}_state_${id}`,
    verifierCookieName: `${prefix}_verifier_${id}`,
    cookie: { path: `${API}/auth`, secure, httpOnly: true, sameSite: 'lax' },
    userAgent: 'fastify-tandem group vault'
  })
  return (app as unknown as Readonly<Record<string, OAuth2Namespace>>)[name] as OAuth2Namespace
}

/** Throws `ORIGIN_UNKNOWN`. */
export function requireOrigin (origin: string | undefined): string {
  if (origin === undefined) throw new OriginUnknown()
  return origin
}

async function fetchJson (url: string, token: string, clientId: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${token}`, accept: 'application/json', 'client-id': clientId, 'user-agent': 'fastify-tandem group vault' }
  const answer = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(PROFILE_TIMEOUT_MS) })
  if (!answer.ok) throw new Error(`the provider answered ${answer.status}`)
  return await answer.json()
}
