/** What a page has to know of who looks at it: the theme, the ways to sign in. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Database } from '../../plugins/db/types.ts'
import { originOf } from '../auth/access.ts'
import type { VaultContext } from '../common/context.ts'
import { isLocal } from '../common/local.ts'
import type { Html } from './static/shared/html.js'
import { findTheme } from './store.ts'
import type { Theme } from './views/layout.ts'
import type { SignInOption } from './views/sign-in.ts'

const names = { discord: 'Discord', github: 'GitHub', google: 'Google', twitch: 'Twitch' } as const

/** What this browser was told last, else what its person chose elsewhere, else the system's. */
export async function themeOf ({ cookies, session }: FastifyRequest, db: Pick<Database, 'prepare'>): Promise<Theme> {
  return toTheme(cookies.vault_theme) ?? (session === null ? undefined : toTheme(await findTheme(db, session.userId))) ?? 'system'
}

function toTheme (text: string | undefined): Theme | undefined {
  return text === 'light' || text === 'dark' || text === 'system' ? text : undefined
}

/** As `GET /auth/providers` has them. */
export function signInOptions (request: FastifyRequest, context: VaultContext): SignInOption[] {
  if (originOf(request, context) === undefined) return []
  const real = [...context.settings.oauth.keys()].map(id => ({ id, label: `Sign in with ${names[id]}` }))
  return context.settings.devTools && isLocal(request) ? [...real, { id: 'mock', label: 'Sign in as a test person' }] : real
}

/** Nobody but this browser keeps it: it has names, and the token of a session. */
export function sendPage (reply: FastifyReply, page: Html, status = 200): FastifyReply {
  return reply.code(status).header('cache-control', 'private, no-cache').type('text/html; charset=utf-8').send(page.text)
}
