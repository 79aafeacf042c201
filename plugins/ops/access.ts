/**
 * Who is let in to /ops: those who know the token, and those whom a hook of the app's own lets in. Health is not guarded.
 *
 * What is kept true:
 *  1. Without a token and a hook there is nothing to let in to: the routes do not exist.
 *  2. The token is compared in constant time, and is in no answer, cookie or log. The cookie that a browser gets for it is a signature of the time at which it ends.
 *  3. What changes anything and is not sent with the token itself needs the header `x-ops`, and must not come from another site: no other site can make a browser do it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OpsForbidden, OpsOptions, OpsToken } from '../errors.ts'
import type {} from '../tx/index.ts' // config.tx
import { loginPage } from './login.ts'

export type Access = (request: FastifyRequest, reply: FastifyReply) => boolean | Promise<boolean>

const COOKIE = 'tandem_ops'
const SESSION_S = 12 * 60 * 60
const LEAST_CHARACTERS = 16
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** Guards all routes of `scope`. `prefix`: where they are. Throws `TDM_ERR_OPS_OPTIONS` for a token that could be guessed. */
export function guard (scope: FastifyInstance, token: string | undefined, access: Access | undefined, prefix: string): void {
  if (token !== undefined && token.length < LEAST_CHARACTERS) throw new OpsOptions(`token has ${token.length} characters, and needs ${LEAST_CHARACTERS}`)
  const tokens = token === undefined ? undefined : new Tokens(token)
  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    if (isLogin(request)) return
    const way = await findWay(request, reply, tokens, access)
    if (reply.sent) return reply
    if (way === undefined) return refuse(request, reply, tokens, `${prefix}/login`)
    if (way !== 'token' && !SAFE_METHODS.has(request.method) && !isOurPage(request)) throw new OpsForbidden()
  })
  if (tokens !== undefined) addLogin(scope, tokens, prefix)
}

/** How somebody got in. Undefined: they did not. */
async function findWay (request: FastifyRequest, reply: FastifyReply, tokens: Tokens | undefined, access: Access | undefined): Promise<'token' | 'cookie' | 'hook' | undefined> {
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? []
  if (bearer !== undefined && tokens?.isToken(bearer) === true) return 'token'
  if (tokens?.isSession(readCookie(request)) === true) return 'cookie'
  return await access?.(request, reply) === true ? 'hook' : undefined
}

/** A browser gets the form, if that is of use. */
function refuse (request: FastifyRequest, reply: FastifyReply, tokens: Tokens | undefined, action: string): FastifyReply {
  if (tokens === undefined) throw new OpsForbidden()
  reply.header('www-authenticate', 'Bearer realm="ops"')
  if (request.method !== 'GET' || !(request.headers.accept ?? '').includes('text/html')) throw new OpsToken()
  return sendForm(reply, action, false)
}

function sendForm (reply: FastifyReply, action: string, isWrong: boolean): FastifyReply {
  return reply.code(401).type('text/html; charset=utf-8')
    .header('content-security-policy', 'default-src \'none\'; style-src \'unsafe-inline\'; form-action \'self\'; frame-ancestors \'none\'; base-uri \'none\'')
    .send(loginPage(action, isWrong))
}

/** Browsers say where a change comes from, in a way that no page can alter; older ones, and those without TLS, say at least its origin. */
function isOurPage ({ headers, host }: FastifyRequest): boolean {
  if (headers['x-ops'] !== '1') return false
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin } = headers
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}

// --- the form ------------------------------------------------------------------------------------------------------------------

const isLoginRoute = Symbol('tandem.ops.login')

declare module 'fastify' {
  interface FastifyContextConfig { [isLoginRoute]?: true }
}

function isLogin ({ routeOptions: { config } }: FastifyRequest): boolean {
  return isLoginRoute in config
}

function addLogin (scope: FastifyInstance, tokens: Tokens, prefix: string): void {
  const form = 'application/x-www-form-urlencoded'
  if (scope.hasContentTypeParser(form)) scope.removeContentTypeParser(form) // the app's own: only here
  scope.addContentTypeParser(form, { parseAs: 'string', bodyLimit: 4096 }, (_request, body, done) => { done(null, new URLSearchParams(String(body)).get('token')) })
  scope.post('/ops/login', { config: { tx: false, [isLoginRoute]: true } }, async (request, reply) => {
    if (typeof request.body !== 'string' || !tokens.isToken(request.body.trim())) return sendForm(reply, `${prefix}/login`, true)
    return reply.header('set-cookie', cookieOf(request, tokens.session(), SESSION_S, prefix)).redirect(prefix, 303)
  })
  scope.post('/ops/logout', { config: { tx: false } }, async (request, reply) => reply.header('set-cookie', cookieOf(request, '', 0, prefix)).redirect(prefix, 303))
}

function cookieOf ({ protocol }: FastifyRequest, value: string, seconds: number, path: string): string {
  return `${COOKIE}=${value}; Path=${path}; Max-Age=${seconds}; HttpOnly; SameSite=Strict${protocol === 'https' ? '; Secure' : ''}`
}

function readCookie ({ headers }: FastifyRequest): string {
  const pair = headers.cookie?.split(/; */).find(text => text.startsWith(`${COOKIE}=`))
  return pair?.slice(COOKIE.length + 1) ?? ''
}

// --- the token -------------------------------------------------------------------------------------------------------------------

class Tokens {
  readonly #token: string
  /** Makes texts of one length of texts of any. */
  readonly #key = randomBytes(32)

  constructor (token: string) {
    this.#token = token
  }

  isToken (text: string): boolean {
    return timingSafeEqual(sign(this.#key, text), sign(this.#key, this.#token))
  }

  /** `<when it ends, in seconds>.<signature>`: good in each process that has the token. */
  session (endsAt = Math.floor(Date.now() / 1000) + SESSION_S): string {
    return `${endsAt}.${sign(this.#token, `tandem ops session ${endsAt}`).toString('hex')}`
  }

  isSession (text: string): boolean {
    const endsAt = Number(/^(\d{1,12})\./.exec(text)?.[1] ?? 0)
    return endsAt > Date.now() / 1000 && timingSafeEqual(sign(this.#key, text), sign(this.#key, this.session(endsAt)))
  }
}

function sign (key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
