/**
 * Who may ask for internal things: from one of the networks, with the key.
 *
 * What is kept true: without a key there is nothing to be found. A request that somebody has forwarded is not from the address of who forwarded it; if it is not known whose it is, it is
 * from no network.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import ipaddr from 'ipaddr.js'
import { NotFound } from '../common/errors.ts'
import { isSameSecret } from '../common/secrets.ts'
import type { VaultSettings } from '../settings.ts'
import { BadKey, BadNetwork } from './errors.ts'

type Hook = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

/** A hook. Throws `NOT_FOUND`, `BAD_NETWORK`, `BAD_KEY`. Throws at once for networks that are none. */
export function internalOnly ({ internal: { key, networks } }: VaultSettings): Hook {
  const ranges = networks.map(network => ipaddr.parseCIDR(network))
  return async request => {
    if (key === undefined) throw routeNotFound(request)
    if (!isInside(addressOf(request), ranges)) throw new BadNetwork()
    const given = request.headers['x-internal-key']
    if (typeof given !== 'string' || !isSameSecret(given, key)) throw new BadKey()
  }
}

/** As if there were none. */
export function routeNotFound ({ method, url }: FastifyRequest): Error {
  return new NotFound(`route ${method} ${url.split('?')[0]}`)
}

/** Undefined: it was forwarded, and nobody is trusted to say for whom. */
function addressOf ({ ip, socket, headers }: FastifyRequest): string | undefined {
  const isForwarded = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined || headers['x-real-ip'] !== undefined
  return isForwarded && ip === socket.remoteAddress ? undefined : ip
}

function isInside (address: string | undefined, ranges: ReadonlyArray<ReturnType<typeof ipaddr.parseCIDR>>): boolean {
  if (address === undefined || !ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address)
  return ranges.some(range => range[0].kind() === parsed.kind() && parsed.match(range))
}
