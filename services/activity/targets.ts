/**
 * Where webhooks may lead: to public addresses by https, so that nobody has this server ask its neighbours. (Server-side request forgery.)
 *
 * What is kept true: a URL is judged when it is given, and each address when it is connected to. In between a name may change what it stands for, so only the second
 * decides. `new URL` has turned decimal, octal and hexadecimal forms into addresses before either of them looks.
 */
import ipaddr from 'ipaddr.js'
import type { WebhookKind } from './payload.ts'

export interface TargetRules {
  /** Also http to this machine, for trying. */
  readonly allowLoopback: boolean
}

const DISCORD_HOSTS = new Set(['discord.com', 'discordapp.com'])
const DISCORD_PATH = /^\/api\/webhooks\/[^/]+\/[^/]+/

/** What is wrong with it; undefined: nothing that can be seen. */
export function findUrlProblem (text: string, kind: WebhookKind, rules: TargetRules): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'it is no URL'
  if (url.username !== '' || url.password !== '') return 'it holds a name or a password'
  if (kind === 'discord' && !DISCORD_PATH.test(url.pathname)) return 'it is none of Discord, which begin with https://discord.com/api/webhooks/'
  if (rules.allowLoopback && isLoopbackUrl(url)) return undefined
  if (url.protocol !== 'https:') return 'it is not https'
  if (url.port !== '') return 'it names a port; only 443 is allowed'
  if (kind === 'discord') return DISCORD_HOSTS.has(url.hostname) ? undefined : 'it is none of Discord, which begin with https://discord.com/api/webhooks/'
  return isInternalName(url.hostname) ? 'it does not lead to a public address' : undefined
}

/** http to this machine by its address, or as `localhost`. */
export function isLoopbackUrl ({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && (hostname === 'localhost' || isLoopback(bare(hostname)))
}

export function isLoopback (address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'loopback'
}

/** Of an address that can be reached by everybody; an IPv6 address that stands for an IPv4 one is what that is. */
export function isPublic (address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.process(address) // ::ffff:10.0.0.1 → 10.0.0.1
  if (parsed.kind() === 'ipv4') return parsed.range() === 'unicast'
  const six = ipaddr.IPv6.parse(address)
  if (six.match(NAT64)) return isPublic(six.toByteArray().slice(-4).join('.'))
  return six.match(GLOBAL) && six.range() === 'unicast'
}

/** RFC 6052: the last 32 bits are an IPv4 address. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')
/** All that is given to anybody, so far. */
const GLOBAL = ipaddr.IPv6.parseCIDR('2000::/3')

/** `[::1]` → `::1` */
export function bare (hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function isInternalName (hostname: string): boolean {
  const address = bare(hostname)
  if (ipaddr.isValid(address)) return !isPublic(address)
  const name = hostname.replace(/\.$/, '')
  return !name.includes('.') || /\.(?:localhost|local|internal|home\.arpa)$/.test(name)
}

/** Names it without telling what opens it: `discord.com/…Ab12`. */
export function hintOf (text: string): string {
  return `${new URL(text).hostname}/…${text.slice(-4)}`
}
