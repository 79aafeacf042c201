/**
 * A provider of our own for trying: five test persons, and the checks that a real one makes.
 *
 * What is kept true: a code is used once, within a minute, for the redirect and the verifier that it was asked with. Everything is forgotten when the process ends.
 */
import { createHash } from 'node:crypto'
import { Agent, type Server } from 'node:http'
import { duplexPair } from 'node:stream'
import type { ProviderConfiguration } from '@fastify/oauth2'
import type { FastifyInstance } from 'fastify'
import { Cache } from '../../plugins/db/cache.ts'
import { isSameSecret, newSecret } from '../common/secrets.ts'
import { API } from '../common/route.ts'
import { InvalidGrant } from './errors.ts'

export interface TestPerson { readonly sub: string, readonly name: string, readonly email: string }

export const testPersons: readonly TestPerson[] = ['Ann', 'Ben', 'Cleo', 'Dan', 'Operator'].map(name => ({ sub: name.toLowerCase(), name, email: `${name.toLowerCase()}@example.org` }))

/** Known to nobody outside of this process. */
export const mockSecret = newSecret()

/** This app, for itself: see `mockAgent`. People are sent to the origin that they came from. */
export const MOCK_HOST = 'http://vault.localhost'

export const mockConfiguration: ProviderConfiguration = {
  authorizeHost: MOCK_HOST,
  authorizePath: `${API}/auth/mock/authorize`,
  tokenHost: MOCK_HOST,
  tokenPath: `${API}/auth/mock/token`
}

/** Leads to this app itself, whatever port it listens on, and also if it listens on none. */
export function mockAgent (app: FastifyInstance): Agent {
  const agent = new Agent()
  const connect = (): unknown => {
    const [ours, theirs] = duplexPair()
    const server: Server = app.server
    server.emit('connection', Object.assign(theirs, { remoteAddress: '127.0.0.1', remotePort: 0, setTimeout: () => theirs, setNoDelay: () => theirs, setKeepAlive: () => theirs }))
    return Object.assign(ours, { setTimeout: () => ours, setNoDelay: () => ours, setKeepAlive: () => ours, ref: () => ours, unref: () => ours })
  }
  return Object.assign(agent, { createConnection: connect })
}

const CODE_MS = 60_000
const TOKEN_MS = 3_600_000
const MOST = 1000

interface Grant { readonly person: TestPerson, readonly redirectUri: string, readonly challenge: string, readonly at: number, isUsed: boolean }

export interface TokenRequest {
  readonly grant_type: string
  readonly code: string
  readonly redirect_uri: string
  readonly code_verifier: string
  readonly client_id: string
  readonly client_secret: string
}

export class MockProvider {
  readonly #codes = new Cache<string, Grant>(MOST)
  readonly #tokens = new Cache<string, { readonly person: TestPerson, readonly at: number }>(MOST)
  readonly #now: () => number

  constructor (now: () => number) {
    this.#now = now
  }

  /** A code for the person. Undefined: there is none of this name. */
  grant (sub: string, redirectUri: string, challenge: string): string | undefined {
    const person = testPersons.find(one => one.sub === sub)
    if (person === undefined) return undefined
    const code = newSecret()
    this.#codes.set(code, { person, redirectUri, challenge, at: this.#now(), isUsed: false })
    return code
  }

  /** A token for a code. Throws `INVALID_GRANT`. */
  exchange ({ grant_type: type, code, redirect_uri: redirectUri, code_verifier: verifier, client_id: id, client_secret: secret }: TokenRequest): string {
    const grant = this.#codes.get(code)
    if (grant === undefined || grant.isUsed) throw new InvalidGrant()
    grant.isUsed = true
    const isRight = type === 'authorization_code' && id === 'mock' && isSameSecret(secret, mockSecret) &&
      this.#now() - grant.at <= CODE_MS && grant.redirectUri === redirectUri && challengeOf(verifier) === grant.challenge
    if (!isRight) throw new InvalidGrant()
    const token = newSecret()
    this.#tokens.set(token, { person: grant.person, at: this.#now() })
    return token
  }

  find (token: string): TestPerson | undefined {
    const found = this.#tokens.get(token)
    return found !== undefined && this.#now() - found.at <= TOKEN_MS ? found.person : undefined
  }
}

function challengeOf (verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}
