/** Who somebody is, by what a provider says of them. Each provider has its own names for that. */

export interface Profile {
  /** What the provider calls the person; never changes. */
  readonly subject: string
  readonly name: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly picture: string | null
}

export type ProfileReader = (answer: unknown) => Profile

type Fields = Readonly<Record<string, unknown>>

/** By provider: https://discord.com/developers/docs/resources/user, https://docs.github.com/rest/users, OpenID Connect, https://dev.twitch.tv/docs/api/reference/#get-users */
export const readers = {
  discord: answer => {
    const { id, global_name: globalName, username, email, verified, avatar } = fieldsOf(answer)
    return profile(id, globalName ?? username, email, verified, typeof avatar === 'string' ? `https://cdn.discordapp.com/avatars/${String(id)}/${avatar}.png` : null)
  },
  github: answer => {
    const { id, name, login, email, avatar_url: picture } = fieldsOf(answer)
    return profile(id, name ?? login, email, false, picture)
  },
  google: readOpenId,
  twitch: answer => {
    const { data } = fieldsOf(answer)
    const { id, display_name: name, email, profile_image_url: picture } = fieldsOf(Array.isArray(data) ? data[0] : undefined)
    return profile(id, name, email, false, picture)
  },
  mock: readOpenId
} satisfies Record<string, ProfileReader>

function readOpenId (answer: unknown): Profile {
  const { sub, name, email, email_verified: verified, picture } = fieldsOf(answer)
  return profile(sub, name, email, verified, picture)
}

function fieldsOf (answer: unknown): Fields {
  if (typeof answer !== 'object' || answer === null) throw new TypeError('a profile is an object')
  return answer as Fields
}

const LONGEST_NAME = 40

function profile (subject: unknown, name: unknown, email: unknown, verified: unknown, picture: unknown): Profile {
  if ((typeof subject !== 'string' && typeof subject !== 'number') || subject === '') throw new TypeError('a profile has a subject')
  const shown = typeof name === 'string' ? name.replace(/\p{C}/gu, '').trim() : ''
  return {
    subject: String(subject),
    name: Array.from(shown === '' ? 'Player' : shown).slice(0, LONGEST_NAME).join(''),
    email: typeof email === 'string' ? email : null,
    emailVerified: verified === true,
    picture: typeof picture === 'string' && picture.startsWith('https://') ? picture : null
  }
}
