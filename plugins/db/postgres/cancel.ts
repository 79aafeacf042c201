/**
 * PostgreSQL's CancelRequest: a connection of its own that names a backend by process id and key (https://www.postgresql.org/docs/18/protocol-flow.html,
 * "Canceling Requests in Progress"). It hits whatever that backend is doing when it arrives, so the caller keeps the backend's connection to itself until the
 * promise is settled, and does not use it for anything else afterwards.
 */
import pg from 'pg'

/** What pg knows of an established connection; not in its types. */
interface Backend {
  readonly processID: number
  readonly secretKey: number
  readonly host: string
  readonly port: number
  readonly ssl: unknown
  readonly sslNegotiation: unknown
}

/** pg's protocol connection; not in its types. */
interface Wire {
  connect: (portOrPath: number | string, host?: string) => void
  cancel: (processID: number, secretKey: number) => void
  readonly stream: { destroy: () => void }
  once: (event: string, listener: (error?: Error) => void) => void
  on: (event: string, listener: (error?: Error) => void) => void
}

const Connection = (pg as unknown as { Connection: new (config: { ssl: unknown, sslNegotiation: unknown }) => Wire }).Connection

/** Resolves when the server has closed the request's connection, which is all the acknowledgement there is, or after `timeoutMs`. Never rejects. */
export async function cancelBackend (client: pg.ClientBase, timeoutMs: number): Promise<void> {
  const { processID, secretKey, host, port, ssl, sslNegotiation } = client as unknown as Backend
  const wire = new Connection({ ssl, sslNegotiation })
  await new Promise<void>(resolve => {
    const timer = setTimeout(() => { wire.stream.destroy() }, timeoutMs)
    const end = (): void => { clearTimeout(timer); resolve() }
    wire.on('error', end)
    wire.once('end', end)
    wire.once(ssl ? 'sslconnect' : 'connect', () => { wire.cancel(processID, secretKey) })
    if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`)
    else wire.connect(port, host)
  })
}
