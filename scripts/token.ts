/**
 * `npm run token -- create | list | revoke`: who may use the API of the jobs service.
 *
 * What is kept true: a token is printed once, alone on stdout, when it is made (so that it can be put into a variable); everything else that `create` says goes to
 * stderr. Exit code 0 means that it was done, 1 comes with one line on stderr.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig } from '../plugins/config/index.ts'
import { migrate } from '../plugins/db/migrate.ts'
import { openDatabase } from '../plugins/db/open.ts'
import type { Database } from '../plugins/db/types.ts'
import { jobMigrations } from '../services/jobs/migrations/index.ts'
import { createToken, hasTokens, listTokens, requireTokens, revokeToken, roles, type ApiToken, type NewToken, type Role } from '../services/jobs/tokens.ts'
import { explain, quietLog } from './command.ts'
import { formatTable } from './terminal.ts'

const usage = `Usage: npm run token -- create --user <name> --role <role> [options]
       npm run token -- list
       npm run token -- revoke <id>

API tokens of the jobs service, in the database in DATABASE_URL. Reads the same variables as the app
(see .env.example). While there is no token, the API answers this machine, as an admin, and nobody else.

create  makes a token and prints it, this once:
  --user <name>      whose requests they are
  --role <role>      ${roles.join(', ')}; can be repeated.
                     api alone: all jobs, and may report jobs. admin and api: the same.
                     admin, support: all jobs. manager: those of its projects. user: its own
  --project <name>   for a manager; can be repeated
  --name <text>      what it is for. Default: the user's name
  --expires <time>   valid for so long: 12h, 30d, 52w. Default: until it is revoked
list    shows what there is, without the tokens themselves
revoke  ends one; requests with it are refused within five seconds

  --help  this text

Exit code: 0 when it is done, 1 on an error.`

const options = {
  user: { type: 'string' },
  role: { type: 'string', multiple: true },
  project: { type: 'string', multiple: true },
  name: { type: 'string' },
  expires: { type: 'string' },
  help: { type: 'boolean', short: 'h' }
} as const

/** Unix seconds: one now for all that is said. */
const now = Math.floor(Date.now() / 1000)

/** Of a time, in seconds. */
const units: Readonly<Record<string, number>> = { h: 3600, d: 86400, w: 7 * 86400 }

try {
  await main()
} catch (error) {
  console.error(`token: ${explain(error)}`)
  process.exitCode = 1
}

async function main (): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options })
  if (values.help === true) {
    console.log(usage)
    return
  }
  const command = readCommand(positionals, values)
  loadDotEnv(process.cwd())
  const config = readConfig()
  const db = await openDatabase(config, quietLog)
  try {
    await requireTokens(db)
    await migrate(db, [jobMigrations], { mode: config.migrate, log: quietLog })
    await command(db)
  } finally {
    await db.close()
  }
}

// --- what is asked for -----------------------------------------------------------------------------------------------------------

interface Values { user?: string, role?: string[], project?: string[], name?: string, expires?: string }
type Command = (db: Database) => Promise<void>

/** Read before the database is opened. */
function readCommand ([command, ...rest]: string[], values: Values): Command {
  const [id] = rest
  const isAlone = Object.keys(values).length === 0
  if (command === 'create' && rest.length === 0) {
    const token = readToken(values)
    return async db => { await create(db, token) }
  }
  if (command === 'list' && rest.length === 0 && isAlone) return list
  if (command === 'revoke' && rest.length === 1 && id !== undefined && /^[1-9]\d{0,14}$/.test(id) && isAlone) return async db => { await revoke(db, Number(id)) }
  throw new Error(`expected create with --user and --role, list, or revoke and the id of a token.\n\n${usage}`)
}

function readToken ({ user, role = [], project, name, expires }: Values): NewToken {
  if (user === undefined || user === '') throw new Error('expected --user, the name of the user whose requests they are.')
  const wrong = role.find(word => !isRole(word))
  if (wrong !== undefined || role.length === 0) throw new Error(`expected --role, one of ${roles.join(', ')}; got ${wrong ?? 'none'}.`)
  if (project !== undefined && !role.includes('manager')) throw new Error('--project is for the role manager.')
  const until = expires === undefined ? undefined : now + toSeconds(expires)
  return { username: user, roles: [...new Set(role.filter(isRole))], ...(project && { projects: project }), ...(name && { name }), ...(until && { expires: until }) }
}

function isRole (word: string): word is Role {
  return (roles as readonly string[]).includes(word)
}

function toSeconds (time: string): number {
  const [, count, unit = ''] = /^([1-9]\d{0,4})([hdw])$/.exec(time) ?? []
  if (count === undefined) throw new Error(`expected --expires as 12h, 30d or 52w, got ${time}.`)
  return Number(count) * (units[unit] ?? 0)
}

// --- what is done ------------------------------------------------------------------------------------------------------------------

async function create (db: Database, token: NewToken): Promise<void> {
  const isFirst = !await hasTokens(db)
  const made = await createToken(db, token, now)
  const until = token.expires === undefined ? 'until it is revoked' : `until ${toDate(token.expires)}`
  console.error(`token ${made.id}: ${token.username}, ${token.roles.join(' and ')}; valid ${until}. It is shown this once.`)
  if (isFirst) console.error('It is the first: within five seconds the API answers nobody without a token.')
  console.log(made.token)
}

async function list (db: Database): Promise<void> {
  const tokens = await listTokens(db)
  if (tokens.length === 0) console.log('There are no tokens: the API answers this machine, as an admin, and nobody else.')
  else console.log(formatTable([['id', 'user', 'roles', 'projects', 'made', 'expires', 'last used', 'for'], ...tokens.map(toLine)]))
}

function toLine ({ id, name, user, created, expires, lastUsed }: ApiToken): string[] {
  const until = expires === undefined ? 'never' : `${toDate(expires)}${expires <= now ? ' (past)' : ''}`
  return [String(id), user.username, user.roles.join(' '), user.projects?.join(' ') || '-', toDate(created), until, lastUsed ?? 'never', name]
}

async function revoke (db: Database, id: number): Promise<void> {
  if (!await revokeToken(db, id)) throw new Error(`there is no token ${id}; npm run token -- list shows those that are.`)
  console.log(`token ${id} is revoked: requests with it are refused within five seconds.`)
  if (!await hasTokens(db)) console.log('It was the last: the API answers this machine, as an admin, and nobody else.')
}

/** 2026-03-01 12:00 UTC */
function toDate (seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
