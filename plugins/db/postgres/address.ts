/**
 * From a `postgres://` URL to what `new pg.Client(config)` needs: for each server the ways to connect, TLS as libpq means it.
 *
 * What is kept true:
 *  1. The driver fills in nothing: every setting that pg would take from PGUSER, PGPASSWORD, PGSSLMODE and so on, or from ~/.pgpass, is given.
 *     (PGOPTIONS and PGREPLICATION cannot be kept out by a config; `AddressClient` in connect.ts does that.)
 *  2. A certificate is checked as the URL says, also under NODE_TLS_REJECT_UNAUTHORIZED=0.
 *  3. A config holds no password and no key as text: a function gives the one, a TLS context has the other.
 * Certificates are read here, when the database is opened. It connects to nothing; which way is taken is for connect.ts.
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import tls, { createSecureContext, type ConnectionOptions } from 'node:tls' // getCACertificates by name would fail on an old Node.js before that can be told
import type pg from 'pg'
import { DbOpen } from '../../errors.ts'
import { displayPostgresUrl, readPostgresUrl, type PostgresServer, type PostgresUrl, type TargetSession } from '../postgres-url.ts'
import { ConnectFailure } from './explain.ts'

export interface ServerConfig extends pg.ClientConfig {
  /** channel_binding=require: `AddressClient` ends a login without it. */
  readonly requireChannelBinding?: boolean
}

/** One server of the URL. */
export interface ServerAddress {
  /** 'host:port' or the path of the socket, for messages. */
  readonly name: string
  /** The ways to connect to it, best first: with sslmode=prefer TLS and then no TLS. */
  readonly ways: readonly ServerConfig[]
}

export interface Address {
  /** To be tried in this order. */
  readonly servers: readonly ServerAddress[]
  /** Which of them is wanted. */
  readonly targetSession: TargetSession
}

/**
 * The servers of a URL and how to connect to them. Throws `TDM_ERR_DB_OPEN` when the URL cannot be used or a certificate cannot be read.
 *
 *     parseAddress('postgres://app:secret@db/app?sslmode=require').servers[0].ways[0]
 *     // { host: 'db', port: 5432, user: 'app', database: 'app', password: [Function], ssl: { rejectUnauthorized: false, … }, … }
 */
export function parseAddress (url: string): Address {
  const refuse = (reason: string, cause?: unknown): Error => new DbOpen(displayPostgresUrl(url) ?? 'postgres://…', reason, ...cause === undefined ? [] : [{ cause }])
  const read = readPostgresUrl(url)
  if (!read.ok) throw refuse(`its URL has to have ${read.expected}. Write ${read.instead}.`)
  try {
    const common = commonConfig(read.value)
    const tls = tlsWay(read.value)
    const servers = read.value.servers.map(server => ({ name: nameOf(server), ways: waysTo(server, read.value, tls).map(way => ({ ...common, ...server, ...way })) }))
    return { servers, targetSession: read.value.targetSession }
  } catch (error) {
    if (error instanceof ConnectFailure) throw refuse(error.message, error.cause)
    throw error
  }
}

function nameOf ({ host, port }: PostgresServer): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function commonConfig (url: PostgresUrl): ServerConfig {
  const { password } = url
  const user = url.user ?? userOfProcess()
  return {
    user,
    database: url.database ?? user,
    // a function even when there is none: a config without would make pg look into PGPASSWORD and ~/.pgpass
    password: () => {
      if (password === undefined) throw new ConnectFailure('the server asks for a password, and the URL has none.')
      return password
    },
    application_name: url.applicationName ?? 'fastify-tandem',
    keepAlive: url.keepAlive,
    keepAliveInitialDelayMillis: url.keepAliveIdleMs,
    ...url.options !== undefined && { options: url.options },
    ...url.connectTimeoutMs !== undefined && { connectionTimeoutMillis: url.connectTimeoutMs }
  }
}

/** As in libpq. A container can run under a number that has no name. */
function userOfProcess (): string {
  try {
    return userInfo().username
  } catch (cause) {
    throw new ConnectFailure('its URL names no user, and the one of this process has no name. Write postgres://user@host.', { cause })
  }
}

type Way = Pick<ServerConfig, 'ssl' | 'sslnegotiation' | 'enableChannelBinding' | 'requireChannelBinding'>

function waysTo ({ host }: PostgresServer, { sslMode, channelBinding }: PostgresUrl, tls: Way): Way[] {
  const plain = { ssl: false, sslnegotiation: 'postgres', enableChannelBinding: false, requireChannelBinding: channelBinding === 'require' } as const
  // a Unix socket has no TLS, whatever sslmode says: https://www.postgresql.org/docs/18/libpq-ssl.html
  if (sslMode === 'disable' || host.startsWith('/')) return [plain]
  if (sslMode === 'allow') return [plain, tls]
  return sslMode === 'prefer' ? [tls, plain] : [tls]
}

function tlsWay (url: PostgresUrl): Way {
  const binding = { enableChannelBinding: url.channelBinding !== 'disable', requireChannelBinding: url.channelBinding === 'require' }
  return { ssl: url.sslMode === 'disable' ? false : tlsOptions(url), sslnegotiation: url.sslNegotiation, ...binding }
}

/** Without sslrootcert nothing is checked; with it the chain, and only with verify-full the name. */
function tlsOptions (url: PostgresUrl): ConnectionOptions {
  const secureContext = tlsContext(url)
  if (url.sslRootCert === undefined) return { secureContext, rejectUnauthorized: false }
  if (url.sslMode === 'verify-full') return { secureContext, rejectUnauthorized: true }
  return { secureContext, rejectUnauthorized: true, checkServerIdentity: () => undefined }
}

function tlsContext (url: PostgresUrl): ReturnType<typeof createSecureContext> {
  const ca = url.sslRootCert === 'system' ? tls.getCACertificates('system') : readAuthorities(url.sslRootCert)
  const cert = readPem('sslcert', url.sslCert)
  const key = readPem('sslkey', url.sslKey)
  try {
    return createSecureContext({ ca, cert, key, passphrase: url.sslPassword })
  } catch (cause) {
    throw new ConnectFailure('sslcert and sslkey cannot be used: they have to be PEM files that belong together, and sslpassword has to be the password of the key.', { cause })
  }
}

/** Node takes a file with no certificate that it can read as an empty list, and then trusts nobody; so each is looked at. */
function readAuthorities (path: string | undefined): string[] | undefined {
  const certificates = readPem('sslrootcert', path)?.match(/-----BEGIN [\w ]*CERTIFICATE-----[^]*?-----END [\w ]*CERTIFICATE-----/g) ?? []
  if (path === undefined) return undefined
  try {
    if (certificates.length > 0) return certificates.map(text => new X509Certificate(text).toString())
  } catch (cause) {
    throw new ConnectFailure('a certificate in the file of sslrootcert cannot be read. It has to be PEM.', { cause })
  }
  throw new ConnectFailure('the file in sslrootcert has no certificate in PEM form.')
}

function readPem (parameter: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConnectFailure(`the file in ${parameter} cannot be read. Is the path right, and may this process read it?`, { cause })
  }
}
