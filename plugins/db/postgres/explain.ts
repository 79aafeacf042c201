/**
 * Why a connection could not be made, in words that say what to do.
 *
 * What is kept true: the text is ours. The driver's is only looked at, since it can hold names, values and the server's language; it stays in the cause.
 */
import { sqlState } from './errors.ts'

/** A failure of ours on the way to a connection. Its message is fit to be shown; it becomes the reason in `TDM_ERR_DB_OPEN`. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure'
}

/** One server of several that could not be used. */
export interface FailedServer { readonly server: string, readonly error: unknown }

/** What to do about an error of `connect`, in one line. */
export function explainConnectError (error: unknown): string {
  if (error instanceof ConnectFailure) return error.message
  return explainState(sqlState(error)) ?? explainCode(codeOf(error)) ?? explainText(textOf(error)) ??
    'the server cannot be reached or refused; its error is the cause of this one.'
}

/** Several servers as one failure. */
export function failureOf (failed: readonly FailedServer[]): unknown {
  if (failed.length === 1) return failed[0]?.error
  const lines = failed.map(({ server, error }) => `${server}: ${explainConnectError(error)}`)
  return new ConnectFailure(lines.join(' '), { cause: new AggregateError(failed.map(({ error }) => error)) })
}

/** True when the same server may be tried with, or without, TLS: the handshake failed, or the server refuses such a connection (pg_hba.conf). */
export function isAboutTls (error: unknown): boolean {
  const state = sqlState(error)
  if (state !== '') return state === '28000'
  return /^(?:ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO|ECONNRESET)/.test(codeOf(error)) || noTls.test(textOf(error))
}

/** True when the next server may be tried. As in libpq not after the server has refused the user: https://www.postgresql.org/docs/18/libpq-connect.html */
export function isAboutServer (error: unknown): boolean {
  if (error instanceof ConnectFailure) return error instanceof OtherSession
  const state = sqlState(error)
  return state === '57P03' || (state === '' && !textOf(error).startsWith('SASL'))
}

/** The server is reached, and is not what target_session_attrs asks for. */
export class OtherSession extends ConnectFailure {
  constructor (wanted: string) {
    super(`the server is not what target_session_attrs=${wanted} asks for.`)
  }
}

const noTls = /^The server does not support SSL|error establishing an SSL connection/

function explainState (state: string): string | undefined {
  if (state === '3D000') return 'the server has no database of this name. Create it with "createdb".'
  if (state === '28P01') return 'the server does not accept this user or password.'
  if (state.startsWith('28')) {
    return 'the server does not accept this user or password, or not in this way: its pg_hba.conf can ask for TLS (sslmode=require), ' +
      'for none (sslmode=disable), for a client\'s certificate (sslcert, sslkey), or for another address. Its log says which.'
  }
  if (state === '53300') return 'the server has no connection left. Raise its max_connections or lower DB_POOL_MAX.'
  if (state === '57P03') return 'the server is starting up or shutting down.'
  if (state === '42501') return 'the user may not connect to this database. GRANT CONNECT ON DATABASE allows it.'
  if (/^(?:42704|42601|22023)$/.test(state)) return 'the server does not know a setting in options, or not its value.'
  return undefined
}

function explainCode (code: string): string | undefined {
  if (/SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|CERT_(?:SIGNATURE_FAILURE|UNTRUSTED)|INVALID_CA/.test(code)) {
    return 'the server\'s certificate is not signed by an authority in sslrootcert. Give the file of the authority that signed it.'
  }
  if (code === 'CERT_HAS_EXPIRED') return 'the server\'s certificate, or that of its authority, has expired. Renew it on the server; is the clock here right?'
  if (code === 'CERT_NOT_YET_VALID') return 'the server\'s certificate is not valid yet. Is the clock here right?'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return 'the server\'s certificate is for another host name. Use the name that is in it, or sslmode=verify-ca if the authority signs for this server only.'
  }
  if (/ALERT_(?:CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|HANDSHAKE_FAILURE)$/.test(code)) {
    return 'the server does not accept this client\'s certificate, or asks for one: see sslcert and sslkey.'
  }
  if (/^(?:ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/.test(code)) {
    return 'the TLS handshake failed. Is it PostgreSQL that listens there? With sslnegotiation=direct: is it version 17 or later?'
  }
  return network[code]
}

const network: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there. Is the server running, and is the port right?',
  ENOENT: 'there is no such Unix socket. Is the server running, and are the folder and the port right?',
  EACCES: 'this process may not use the Unix socket.',
  ENOTFOUND: 'the host name is not known.',
  EAI_AGAIN: 'the host name cannot be looked up at the moment.',
  ETIMEDOUT: 'no answer came in time. Is the address right, and does a firewall let it through?',
  EHOSTUNREACH: 'there is no way to this address.',
  ENETUNREACH: 'there is no way to this address.',
  ECONNRESET: 'the server ended the connection at once. Is it PostgreSQL that listens there?'
}

/** Errors that pg makes without a code. Looked at, never shown. */
function explainText (text: string): string | undefined {
  if (noTls.test(text)) return 'the server does not support TLS. Configure it there (ssl=on), or, on a network that nobody else can read, use sslmode=disable.'
  if (/^timeout expired|connection timeout/.test(text)) return network.ETIMEDOUT
  if (text.startsWith('Connection terminated')) return network.ECONNRESET
  if (text.startsWith('SASL: Only mechanism')) return 'the server asks for a way to log in that the driver does not know; SCRAM, md5 and certificates are possible.'
  if (text.startsWith('SASL')) return 'logging in with SCRAM failed: the server, or what is between, does not answer as it has to.'
  return undefined
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

function textOf (error: unknown): string {
  return error instanceof Error ? error.message : ''
}
