/** Did a request begin on this machine? One that was forwarded, or was sent to a name that is not this machine's (a page in a browser, from a name made to point here), did not. */
import type { FastifyRequest } from 'fastify'

export function isLocal ({ ip, socket, headers, hostname }: FastifyRequest): boolean {
  const isForwarded = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined || headers['x-real-ip'] !== undefined
  return !isForwarded && isLoopback(ip) && isLoopback(socket.remoteAddress ?? '') && isLocalName(hostname)
}

function isLoopback (address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

function isLocalName (name: string): boolean {
  return /^(?:.+\.)?localhost$/i.test(name) || isLoopback(name.replace(/^\[(.*)\]$/, '$1'))
}
