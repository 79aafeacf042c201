/**
 * What a `postgres://` URL says: servers, user, password, database, and the parameters behind `?`, as libpq understands them
 * (https://www.postgresql.org/docs/18/libpq-connect.html). Where it is stricter, docs/postgres-connection.md tells.
 *
 * What is kept true:
 *  1. A parameter is in the list below, once in the URL, with a value that has a meaning, or the URL is refused. Nothing is ignored in silence.
 *  2. Neither `displayPostgresUrl` nor a refusal holds a password or a value that could be one, however wrong the URL is.
 *  3. A URL whose password could be mistaken for another part (`/`, `?` or `#` in it, not percent-encoded) is not understood.
 * No file is looked at, nothing is connected; it refuses to know the driver. Both plugins/config and the engine use it.
 */
import { isIPv6 } from 'node:net'

export interface Parameter {
  readonly name: string
  /** One or two sentences. */
  readonly meaning: string
  /** What it can be, when it is one of a few words. */
  readonly words?: readonly string[]
  /** What a whole number counts. */
  readonly unit?: 'seconds'
  /** What holds without it, in words. */
  readonly default: string
  /** True when the value may stand in a log. */
  readonly shown: boolean
}

const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
const sessions = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const

/** What the connection is encrypted and checked with. */
export type SslMode = typeof sslModes[number]
/** Which server of several is wanted. */
export type TargetSession = typeof sessions[number]

/** Every parameter, in the order in which people should meet them. docs/postgres-connection.md has the same table (a test compares them). */
export const parameters: readonly Parameter[] = [
  { name: 'host', meaning: 'The server in place of the one in front of the path: a name, an address, the folder of a Unix socket (begins with /), or a list of them with commas.', default: 'the host in the URL, else localhost', shown: true },
  { name: 'port', meaning: 'Its port, or a list with one for each host. Of a Unix socket it is the end of the name: .s.PGSQL.5432.', default: 'the port in the URL, else 5432', shown: true },
  { name: 'user', meaning: 'In place of the user in the URL.', default: 'the user in the URL, else the one that the process runs as', shown: true },
  { name: 'password', meaning: 'In place of the password in the URL.', default: 'the password in the URL, else none', shown: false },
  { name: 'dbname', meaning: 'The database in place of the path of the URL.', default: 'the path of the URL, else the name of the user', shown: true },
  { name: 'sslmode', meaning: 'Whether the connection is encrypted, and what of the server\'s certificate is checked: see TLS.', words: sslModes, default: 'prefer; verify-full with sslrootcert=system', shown: true },
  { name: 'ssl', meaning: 'ssl=true is another way to write sslmode=require.', words: ['true'], default: 'sslmode holds', shown: true },
  { name: 'sslrootcert', meaning: 'A file with the certificates of the authorities that may have signed the server\'s (PEM), or system for those that the operating system trusts.', default: 'none', shown: true },
  { name: 'sslcert', meaning: 'A file with a certificate of this client (PEM). Together with sslkey.', default: 'none', shown: true },
  { name: 'sslkey', meaning: 'The file with its private key (PEM). Its permissions are not looked at.', default: 'none', shown: true },
  { name: 'sslpassword', meaning: 'The password of the file in sslkey.', default: 'none', shown: false },
  { name: 'sslnegotiation', meaning: 'direct: begin with TLS, which saves a round trip. PostgreSQL 17 and later; needs sslmode=require or stronger.', words: ['postgres', 'direct'], default: 'postgres', shown: true },
  { name: 'channel_binding', meaning: 'Whether logging in with SCRAM is bound to the TLS connection. require: do not log in without; needs sslmode=require or stronger.', words: ['disable', 'prefer', 'require'], default: 'prefer', shown: true },
  { name: 'target_session_attrs', meaning: 'Which server of a list is taken: the first that is like this. prefer-standby: a standby, else any.', words: sessions, default: 'any', shown: true },
  { name: 'connect_timeout', meaning: 'How long to wait for a connection, for each server. 0: no limit.', unit: 'seconds', default: 'what the pool waits', shown: true },
  { name: 'application_name', meaning: 'What the server shows in pg_stat_activity and in its log.', default: 'fastify-tandem', shown: true },
  { name: 'options', meaning: 'Settings for each session, such as -csearch_path=app, percent-encoded.', default: 'none', shown: false },
  { name: 'client_encoding', meaning: 'Only UTF8, which is used in any case.', words: ['UTF8', 'UTF-8', 'auto'], default: 'UTF8', shown: true },
  { name: 'keepalives', meaning: '0: no TCP keepalives.', words: ['0', '1'], default: '1', shown: true },
  { name: 'keepalives_idle', meaning: 'After how long without traffic the first keepalive is sent. 0: when the operating system says.', unit: 'seconds', default: '0', shown: true },
  { name: 'gssencmode', meaning: 'There is no GSSAPI; the two values that allow that are accepted.', words: ['disable', 'prefer'], default: 'disable', shown: true },
  { name: 'uselibpqcompat', meaning: 'Accepted, since sslmode means what it means in libpq in any case.', words: ['true'], default: 'true', shown: true }
]

/** What people write who know another program, or libpq. */
const insteadOf: Readonly<Record<string, string>> = {
  passfile: 'the password into the URL',
  hostaddr: 'the address in place of the host, with sslmode=verify-ca at most, or the name',
  schema: 'options=-csearch_path%3Dname',
  search_path: 'options=-csearch_path%3Dname',
  currentSchema: 'options=-csearch_path%3Dname',
  pgbouncer: 'nothing in its place',
  connection_limit: 'DB_POOL_MAX in the environment',
  pool_timeout: 'DB_ACQUIRE_TIMEOUT in the environment',
  statement_timeout: 'DB_STATEMENT_TIMEOUT in the environment',
  database: 'dbname=',
  db: 'dbname=',
  username: 'user=',
  encoding: 'client_encoding=UTF8',
  sslca: 'sslrootcert=',
  sslidentity: 'sslcert= and sslkey=',
  keepalives_interval: 'keepalives_idle=, the only time that Node can set',
  keepalives_count: 'keepalives_idle=, the only time that Node can set'
}

/** One server: `host` is a name, an address, or the absolute folder of a Unix socket. */
export interface PostgresServer { readonly host: string, readonly port: number }

/** What the URL says. Holds passwords. */
export interface PostgresUrl {
  /** At least one, in the order of the URL. */
  readonly servers: readonly PostgresServer[]
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly sslMode: SslMode
  /** A path, or 'system'. */
  readonly sslRootCert: string | undefined
  readonly sslCert: string | undefined
  readonly sslKey: string | undefined
  readonly sslPassword: string | undefined
  readonly sslNegotiation: 'postgres' | 'direct'
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  readonly targetSession: TargetSession
  /** 0: no limit. Undefined: not said. */
  readonly connectTimeoutMs: number | undefined
  readonly applicationName: string | undefined
  readonly options: string | undefined
  readonly keepAlive: boolean
  readonly keepAliveIdleMs: number
}

/** Why a URL cannot be used, and what to write. Neither part holds a secret. */
export interface UrlRefusal { readonly expected: string, readonly instead: string }

export type ReadUrl = { ok: true, value: PostgresUrl } | ({ ok: false } & UrlRefusal)

const form = 'postgres://user:password@host:port/database'

/** Reads the URL; a refusal says what to write in its place. */
export function readPostgresUrl (text: string): ReadUrl {
  const parts = splitUrl(text)
  if (parts === undefined) {
    return { ok: false, expected: form, instead: 'special characters of user and password percent-encoded, for example %2F for / and %40 for @' }
  }
  const given = new Map(parts.query.map(({ name, value }) => [name, value ?? '']))
  const problem = checkNames(parts.query) ?? checkValues(given) ?? checkTls(given) ?? checkServers(parts, given)
  return problem === undefined ? { ok: true, value: toAddress(parts, given) } : { ok: false, ...problem }
}

/** The URL with `***` for the password and for every value that may be secret, or undefined if it is not certain which part is which. */
export function displayPostgresUrl (text: string): string | undefined {
  const parts = splitUrl(text)
  if (parts === undefined) return undefined
  const { scheme, userText, password, hostText, path, query } = parts
  const credentials = userText === undefined ? '' : `${userText}${password === '' || password === undefined ? '' : ':***'}@`
  const shown = query.map(showParameter).join('&')
  return `${scheme}//${credentials}${hostText}${path === undefined ? '' : `/${path}`}${shown === '' ? '' : `?${shown}`}`
}

function showParameter ({ name, value, valueText }: QueryPart): string {
  if (value === undefined || !/^\w{1,40}$/.test(name)) return '***'
  return parameters.some(parameter => parameter.name === name && parameter.shown) ? `${name}=${valueText}` : `${name}=***`
}

// --- the parts of the text -------------------------------------------------------------------------------------------------

interface QueryPart { readonly name: string, readonly value: string | undefined, readonly valueText: string }

interface UrlParts {
  readonly scheme: string
  readonly userText: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly hostText: string
  readonly path: string | undefined
  readonly query: readonly QueryPart[]
}

/** Cuts the text into its parts. Not by `URL`, which knows no list of hosts and changes what it reads. The last @ ends the password, as in pg. */
function splitUrl (text: string): UrlParts | undefined {
  const [, scheme, authority = '', path, queryText] = /^(postgres(?:ql)?:)\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/i.exec(text) ?? []
  if (scheme === undefined || /[\s#\p{Cc}]/u.test(text) || `${path}${queryText}`.includes('@') || !isEncoded(text)) return undefined
  const at = authority.lastIndexOf('@')
  const credentials = at < 0 ? undefined : authority.slice(0, at)
  const hostText = authority.slice(at + 1)
  if (splitHosts(hostText) === undefined) return undefined
  const [, userText, password] = /^([^:]*)(?::(.*))?$/.exec(credentials ?? '') ?? []
  return {
    scheme,
    userText: credentials === undefined ? undefined : userText,
    user: decode(userText),
    password: decode(password),
    hostText,
    path,
    query: (queryText ?? '').split('&').filter(part => part !== '').map(splitParameter)
  }
}

/** A + is a +, as in libpq; `URLSearchParams` would make a blank of it. */
function splitParameter (part: string): QueryPart {
  const [, name = '', valueText] = /^([^=]*)(?:=(.*))?$/.exec(part) ?? []
  return { name: decodeURIComponent(name), value: decode(valueText), valueText: valueText ?? '' }
}

/** `a:5432,b,[::1]:5433,%2Frun` as hosts and ports; undefined when it is something else, for example a user and a password without @. */
function splitHosts (text: string): Array<{ host: string, port: string }> | undefined {
  const servers = []
  for (const part of text.split(',')) {
    const match = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(\d{0,5}))?$/.exec(part)
    if (match === null) return undefined
    const [, inBrackets, bare = '', port = ''] = match
    const host = decodeURIComponent(inBrackets ?? bare)
    // %3A in a host can be a user and a password that were encoded with what is around them
    const isHost = inBrackets === undefined ? !bare.includes('%') || host.startsWith('/') : isIPv6(host)
    if (!isHost || Number(port) > 65535) return undefined
    servers.push({ host, port })
  }
  return servers
}

function isEncoded (text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function decode (text: string | undefined): string | undefined {
  return text === undefined ? undefined : decodeURIComponent(text)
}

// --- what is refused -------------------------------------------------------------------------------------------------------

type Given = ReadonlyMap<string, string>

function checkNames (query: readonly QueryPart[]): UrlRefusal | undefined {
  const seen = new Set<string>()
  for (const { name, value } of query) {
    if (value === undefined || !/^\w{1,40}$/.test(name)) return { expected: 'name=value behind the ?, with & between two of them', instead: 'special characters percent-encoded, for example %26 for & and %3F for ?' }
    if (!parameters.some(parameter => parameter.name === name)) return unknownParameter(name)
    if (seen.has(name)) return { expected: `the parameter ${name} once`, instead: 'one of the two' }
    seen.add(name)
  }
  return undefined
}

function unknownParameter (name: string): UrlRefusal {
  const known = parameters.find(parameter => parameter.name === name.toLowerCase())?.name
  const instead = known === undefined ? Object.hasOwn(insteadOf, name) ? insteadOf[name] : undefined : `${known}=`
  return { expected: `no parameter ${name}, which is not supported`, instead: instead ?? `one of ${parameters.map(({ name }) => name).join(', ')}, or take it away` }
}

function checkValues (given: Given): UrlRefusal | undefined {
  for (const { name, words, unit } of parameters) {
    const value = given.get(name)
    if (value === undefined) continue
    if (value === '' && name !== 'password' && name !== 'host') return { expected: `a value for ${name}`, instead: `it behind ${name}=, or take ${name} away` }
    if (value.includes('\0')) return { expected: `a value without %00 for ${name}`, instead: 'it without %00' }
    if (name === 'sslmode' && value === 'no-verify') return { expected: oneOf('sslmode', sslModes), instead: 'sslmode=require, which encrypts and does not check the certificate' }
    if (words !== undefined && !words.some(word => word.toLowerCase() === value.toLowerCase())) return { expected: oneOf(name, words), instead: oneOf(name, words) }
    if (unit !== undefined && !/^\d{1,6}$/.test(value)) return { expected: `${unit} for ${name}, a whole number below 1000000`, instead: `for example ${name}=10` }
  }
  return undefined
}

function oneOf (name: string, words: readonly string[]): string {
  return words.map(word => `${name}=${word}`).join(' or ')
}

const isStrong = (mode: SslMode): boolean => ['require', 'verify-ca', 'verify-full'].includes(mode)

/** What does not fit together, or would be less safe than it looks. */
function checkTls (given: Given): UrlRefusal | undefined {
  const mode = sslModeOf(given)
  const root = given.get('sslrootcert')
  if (given.has('ssl') && given.has('sslmode')) return { expected: 'ssl or sslmode, not both', instead: 'sslmode only' }
  if (root === 'system' && mode !== 'verify-full') return { expected: `sslmode=verify-full with sslrootcert=system, since anyone can get a certificate that the system trusts`, instead: 'sslmode=verify-full' }
  if (root !== undefined && !isStrong(mode)) return { expected: `a certificate that is not trusted to end the connection, and sslmode=${mode} goes on without encryption`, instead: 'sslmode=verify-full (or verify-ca) with sslrootcert' }
  if (root === undefined && mode.startsWith('verify-')) return { expected: `sslrootcert with sslmode=${mode}`, instead: mode === 'verify-full' ? 'sslrootcert=system, or sslrootcert=file' : 'sslrootcert=file' }
  if (given.has('sslcert') !== given.has('sslkey')) return { expected: 'sslcert and sslkey together', instead: 'both, or neither' }
  if (given.has('sslpassword') && !given.has('sslkey')) return { expected: 'sslpassword only with sslkey', instead: 'sslcert and sslkey, too, or no sslpassword' }
  for (const pair of ['sslnegotiation=direct', 'channel_binding=require']) {
    const [name = '', value] = pair.split('=')
    if (given.get(name)?.toLowerCase() === value && !isStrong(mode)) return { expected: `sslmode=require or stronger with ${pair}`, instead: `sslmode=require, or no ${name}` }
  }
  return undefined
}

function checkServers (parts: UrlParts, given: Given): UrlRefusal | undefined {
  const { hosts, ports } = listServers(parts, given)
  if (ports.length !== 1 && ports.length !== hosts.length) return { expected: `one port for all ${hosts.length} hosts, or one for each`, instead: 'as many ports as hosts' }
  if (!ports.every(port => port === '' || (/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) <= 65535))) return { expected: 'a port from 1 to 65535', instead: 'for example 5432' }
  if (hosts.some(host => /\/\.s\.PGSQL\.\d+$/.test(host))) return { expected: 'the folder of the Unix socket, not the socket', instead: 'host=/folder, and the number at the end of its name as the port' }
  if (!hosts.every(host => host.startsWith('/') || isIPv6(host) || /^[^\s/:@?#[\]\\]*$/.test(host))) return { expected: 'a name, an address or the absolute path of a folder as host', instead: 'for example db.example.org or host=/run/postgresql' }
  return undefined
}

// --- what it means ---------------------------------------------------------------------------------------------------------

function sslModeOf (given: Given): SslMode {
  const written = given.get('ssl') === undefined ? given.get('sslmode')?.toLowerCase() : 'require'
  return sslModes.find(mode => mode === written) ?? (given.get('sslrootcert') === 'system' ? 'verify-full' : 'prefer')
}

function listServers (parts: UrlParts, given: Given): { hosts: string[], ports: string[] } {
  const written = splitHosts(parts.hostText) ?? []
  return {
    hosts: given.get('host')?.split(',') ?? written.map(({ host }) => host),
    ports: given.get('port')?.split(',') ?? written.map(({ port }) => port)
  }
}

function toServers (parts: UrlParts, given: Given): PostgresServer[] {
  const { hosts, ports } = listServers(parts, given)
  return hosts.map((host, i) => ({ host: host === '' ? 'localhost' : host, port: Number((ports.length === 1 ? ports[0] : ports[i]) || 5432) }))
}

function toAddress (parts: UrlParts, given: Given): PostgresUrl {
  const word = <W extends string>(name: string, words: readonly W[]): W | undefined => words.find(word => word === given.get(name)?.toLowerCase())
  const ms = (name: string): number | undefined => given.has(name) ? Number(given.get(name)) * 1000 : undefined
  return {
    servers: toServers(parts, given),
    user: given.get('user') ?? (parts.user || undefined),
    password: (given.get('password') ?? parts.password) || undefined,
    database: given.get('dbname') ?? (decode(parts.path) || undefined),
    sslMode: sslModeOf(given),
    sslRootCert: given.get('sslrootcert'),
    sslCert: given.get('sslcert'),
    sslKey: given.get('sslkey'),
    sslPassword: given.get('sslpassword'),
    sslNegotiation: word('sslnegotiation', ['direct']) ?? 'postgres',
    channelBinding: word('channel_binding', ['disable', 'require']) ?? 'prefer',
    targetSession: word('target_session_attrs', sessions) ?? 'any',
    connectTimeoutMs: ms('connect_timeout'),
    applicationName: given.get('application_name'),
    options: given.get('options'),
    keepAlive: given.get('keepalives') !== '0',
    keepAliveIdleMs: ms('keepalives_idle') ?? 0
  }
}
