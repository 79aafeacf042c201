/**
 * Signing in (T1): the user of an identity, made if it is new, and a session; all of it or nothing.
 *
 * What is kept true: an identity belongs to one user. Of two that come with a new identity at the same time one makes the user, and the other finds it.
 */
import type { Database } from '../../../plugins/db/types.ts'
import { toText } from '../../common/columns.ts'
import { newId } from '../../common/ids.ts'
import type { Profile } from '../profile.ts'
import { createSession, revokeSession, type Session } from '../sessions.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>

export interface SignIn {
  readonly provider: string
  readonly profile: Profile
  readonly isOperator: boolean
  readonly userAgent: string
  /** Who is signed in already: the identity becomes one more of this user. */
  readonly session: Session | null
}

export type SignedIn = { readonly sessionId: string } | 'taken'

/** `taken`: the identity is another user's than the one who is signed in. */
export async function signIn (db: Db, { provider, profile, isOperator, userAgent, session }: SignIn, now: number): Promise<SignedIn> {
  return await db.tx(async () => {
    const userId = await upsertUserFromIdentity(db, { provider, profile, linkTo: session?.userId }, now)
    if (session !== null && userId !== session.userId) return 'taken'
    if (isOperator) await db.prepare('UPDATE users SET is_operator = 1 WHERE id = ?').run(userId)
    else if (session === null) await db.prepare('UPDATE users SET is_operator = 0 WHERE id = ?').run(userId)
    if (session !== null) await revokeSession(db, session.publicId, now)
    const { id } = await createSession(db, { userId, userAgent }, now)
    return { sessionId: id }
  })
}

const touchIdentity = 'UPDATE identities SET last_login_at = :now, email = :email, email_verified = :verified WHERE provider = :provider AND subject = :subject RETURNING user_id'
const insertIdentity = `
  INSERT INTO identities (provider, subject, user_id, email, email_verified, created_at, last_login_at) VALUES (:provider, :subject, :user, :email, :verified, :now, :now)
  ON CONFLICT (provider, subject) DO NOTHING RETURNING user_id`

/** The id of the user. */
export async function upsertUserFromIdentity (db: Db, { provider, profile, linkTo }: { provider: string, profile: Profile, linkTo: string | undefined }, now: number): Promise<string> {
  const identity = { provider, subject: profile.subject, email: profile.email, verified: profile.emailVerified, now }
  return await db.tx(async () => {
    const known = await db.prepare(touchIdentity).get(identity)
    if (known !== undefined) return toText(known.user_id)
    const user = linkTo ?? await insertUser(db, profile, now)
    if (await db.prepare(insertIdentity).get({ ...identity, user }) !== undefined) return user
    if (linkTo === undefined) await db.prepare('DELETE FROM users WHERE id = ?').run(user)
    return toText((await db.prepare(touchIdentity).get(identity))?.user_id)
  })
}

async function insertUser (db: Db, { name, picture }: Profile, now: number): Promise<string> {
  const id = newId('user')
  await db.prepare(`INSERT INTO users (id, display_name, avatar_url, theme, is_operator, created_at) VALUES (?, ?, ?, 'system', 0, ?)`).run(id, name, picture, now)
  return id
}
