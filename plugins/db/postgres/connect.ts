/**
 * Connects to the first server of an address that can be reached and is what is wanted.
 *
 *  1. Servers are tried in the order of the URL, each in its ways (see address.ts). The next way is for a server that refuses the first one because of TLS.
 *  2. A server that refuses the user or has no such database ends the search, as in libpq: the next one would hide a mistake.
 *  3. With target_session_attrs a server that is something else is left, and the next one asked. prefer-standby asks twice.
 *  4. What does not become the result is closed before the function returns.
 */
import pg from 'pg'
import type { TargetSession } from '../postgres-url.ts'
import type { Address, ServerAddress, ServerConfig } from './address.ts'
import { ConnectFailure, failureOf, isAboutServer, isAboutTls, OtherSession, type FailedServer } from './explain.ts'

/** Makes one connection. It closes what it could not make. */
export type OpenClient = (config: ServerConfig) => Promise<pg.Client>

/** What pg keeps, and its types do not have. */
interface Internals { readonly connectionParameters: { options?: string | undefined, replication?: unknown } }

/** pg's client without what it takes from PGOPTIONS and PGREPLICATION, and with channel_binding=require. */
export class AddressClient extends pg.Client {
  constructor (config: ServerConfig) {
    super(config)
    const { connectionParameters } = this as unknown as Internals
    connectionParameters.options = config.options
    connectionParameters.replication = undefined
    if (config.requireChannelBinding === true) requireChannelBinding(this)
  }
}

/**
 * Before pg answers, the connection is ended if the login is not bound to TLS: another kind of login, or SCRAM without -PLUS.
 * (With -PLUS offered pg takes it.) `authenticationOk` without a login before it is `trust`.
 */
function requireChannelBinding (client: pg.Client): void {
  const connection = client.connection as unknown as NodeJS.EventEmitter & { stream: { destroy: () => void } }
  let isBound = false
  const check = (): void => {
    if (isBound) return
    // told first: what follows in the same packet is still read
    connection.emit('error', new ConnectFailure('the server offers no login with channel binding, and the URL says channel_binding=require. It needs TLS and SCRAM.'))
    connection.stream.destroy()
  }
  connection.on('authenticationSASL', ({ mechanisms }: { mechanisms: string[] }) => { isBound = mechanisms.includes('SCRAM-SHA-256-PLUS'); check() })
  for (const event of ['authenticationCleartextPassword', 'authenticationMD5Password', 'authenticationOk']) connection.on(event, check)
}

/** Default for `OpenClient`: a connection and nothing more. */
export async function openClient (config: ServerConfig): Promise<pg.Client> {
  const client = new AddressClient(config)
  client.on('error', () => {}) // what comes after the first error; whoever gets the client listens, too
  try {
    await client.connect()
    return client
  } catch (error) {
    client.connection.stream.destroy()
    throw error
  }
}

/** The first connection that fits. Throws what the only server threw, or a `ConnectFailure` that tells what each of several did: see `explainConnectError`. */
export async function connectFirst (address: Address, open: OpenClient = openClient): Promise<pg.Client> {
  const failed: FailedServer[] = []
  const wanted = address.targetSession
  for (const session of wanted === 'prefer-standby' ? ['standby', 'any'] as const : [wanted]) {
    failed.length = 0
    for (const server of address.servers) {
      try {
        return await connectAs(server, session, open)
      } catch (error) {
        if (!isAboutServer(error)) throw error
        failed.push({ server: server.name, error })
      }
    }
  }
  throw failureOf(failed)
}

/** With what a connection can be made now: for a pool of pg's own, whose client has to be `AddressClient`. */
export async function findConfig (address: Address): Promise<ServerConfig> {
  let found: ServerConfig = {}
  const client = await connectFirst(address, async config => await openClient(found = config))
  await client.end()
  return found
}

async function connectAs (server: ServerAddress, wanted: TargetSession, open: OpenClient): Promise<pg.Client> {
  const client = await connectAnyWay(server, open)
  try {
    if (await isWanted(client, wanted)) return client
  } catch (error) {
    await client.end()
    throw error
  }
  await client.end()
  throw new OtherSession(wanted)
}

async function connectAnyWay ({ ways }: ServerAddress, open: OpenClient): Promise<pg.Client> {
  for (const way of ways.slice(0, -1)) {
    try {
      return await open(way)
    } catch (error) {
      if (!isAboutTls(error)) throw error
    }
  }
  return await open(ways.at(-1) ?? {})
}

/** As libpq defines the words: read-only is a standby, or a server whose transactions are read only unless they say otherwise. */
async function isWanted (client: pg.Client, wanted: TargetSession): Promise<boolean> {
  if (wanted === 'any') return true
  const { rows: [row] } = await client.query<{ standby: boolean, readonly: boolean }>(
    'SELECT pg_is_in_recovery() AS standby, pg_is_in_recovery() OR current_setting(\'default_transaction_read_only\')::boolean AS readonly')
  if (wanted === 'primary') return row?.standby === false
  if (wanted === 'standby') return row?.standby === true
  return row?.readonly === (wanted === 'read-only')
}
