/**
 * The environment: `.env`, which variables are set, and which of them nobody knows.
 *
 * What is kept true: an empty text counts as not set; the value of an unknown variable is never shown, since it can be a password.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { loadEnvFile } from 'node:process'
import { variables } from './schema.ts'
import type { Problem } from './problem.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** The text of a variable without blanks around it, or undefined when it is not set or empty. */
export function readText (env: Env, name: string): string | undefined {
  const text = env[name]?.trim()
  return text === '' ? undefined : text
}

/** Puts the variables of `<folder>/.env`, if there is one, into `process.env`, except those that are there. Returns the names that it has put there. */
export function loadDotEnv (folder: string): Set<string> {
  const file = join(folder, '.env')
  if (!existsSync(file)) return new Set()
  const before = new Set(Object.keys(process.env))
  loadEnvFile(file)
  return new Set(Object.keys(process.env).filter(name => !before.has(name)))
}

/** SQLite and its shell read these themselves. */
const sqlitesOwn = new Set(['SQLITE_TMPDIR', 'SQLITE_HISTORY'])

/** What people try who know another program. */
const insteadOf: Record<string, string> = {
  DB_URL: 'DATABASE_URL',
  DB_URI: 'DATABASE_URL',
  DB_PATH: 'DATABASE_URL=sqlite:<path>',
  DB_FILE: 'DATABASE_URL=sqlite:<path>',
  DB_HOST: 'the host into DATABASE_URL',
  DB_PORT: 'the port into DATABASE_URL',
  DB_NAME: 'the name into DATABASE_URL',
  DB_USER: 'the user into DATABASE_URL',
  DB_USERNAME: 'the user into DATABASE_URL',
  DB_PASS: 'the password into DATABASE_URL',
  DB_PASSWORD: 'the password into DATABASE_URL',
  DB_ENGINE: 'DB_DRIVER',
  DB_CONNECTION: 'DB_DRIVER',
  DATABASE_DRIVER: 'DB_DRIVER',
  DB_POOL_SIZE: 'DB_POOL_MAX',
  SQLITE_PATH: 'DATABASE_URL=sqlite:<path>',
  SQLITE_FILE: 'DATABASE_URL=sqlite:<path>'
}

/** A problem for each variable with one of our prefixes that means nothing to us. */
export function checkNames (env: Env): Problem[] {
  const problems = []
  for (const name of Object.keys(env).sort()) {
    const text = readText(env, name)
    if (text === undefined || !/^(DB|DATABASE|SQLITE|OPS)_/.test(name) || isKnown(name) || isServiceLink(name, text)) continue
    if (name !== 'SQLITE_USE_URI') problems.push(unknownName(name))
    else if (text !== '0') problems.push(useUri)
  }
  return problems
}

function isKnown (name: string): boolean {
  return sqlitesOwn.has(name) || variables.some(variable => variable.name === name)
}

/**
 * Kubernetes and Docker describe a service named `db`, `database` or `sqlite…` by variables such as DB_PORT=tcp://10.0.0.1:5432 and DB_SERVICE_HOST.
 * https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
 */
function isServiceLink (name: string, text: string): boolean {
  return /_SERVICE_(HOST|PORT)(_\w+)?$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text))
}

const useUri: Problem = {
  variable: 'SQLITE_USE_URI',
  value: undefined,
  expected: 'it not to be set, since it changes how better-sqlite3 reads file names in the whole process (file:… becomes a URI)',
  instead: 'DATABASE_URL=sqlite:<path>?mode=ro for a database that is read only, and take SQLITE_USE_URI away'
}

function unknownName (name: string): Problem {
  const known = insteadOf[name]
  const near = known ?? nearestName(name)
  return {
    variable: name,
    value: undefined,
    expected: 'no such variable, since nothing reads it; those that exist are in docs/configuration.md',
    instead: near === undefined ? 'one of those, or take it away' : `${near}, or take it away`
  }
}

/** The variable that was probably meant: at most a third of the letters differ, a part is missing or too much, or the words have another order. */
export function nearestName (name: string): string | undefined {
  let best: { name: string, distance: number } | undefined
  for (const variable of variables) {
    const distance = missingWords(variable.name, name) ?? editDistance(name, variable.name)
    if (distance <= name.length / 3 && distance < (best?.distance ?? Infinity)) best = { name: variable.name, distance }
  }
  return best?.name
}

/** If the words of one name are all in the other, as with DB_TIMEOUT or SQLITE_SOFT_HEAP_LIMIT_BYTES, how many more that has. 0: they have another order. */
function missingWords (a: string, b: string): number | undefined {
  const [some = [], all = []] = [a.split('_'), b.split('_')].sort((x, y) => x.length - y.length)
  return some.every(word => all.includes(word)) ? all.length - some.length : undefined
}

/** Letters to insert, delete or replace to make `b` of `a` (Levenshtein). */
function editDistance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replace))
    }
    row = next
  }
  return row[b.length] ?? 0
}
