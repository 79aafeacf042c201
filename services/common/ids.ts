/** Ids: what it is, then a UUIDv7, so that those made later sort behind. */
import { v7 } from 'uuid'

export const prefixes = {
  user: 'usr', session: 'ses', group: 'grp', member: 'mem', token: 'tok', pairing: 'pair', event: 'evt', webhook: 'whk', delivery: 'dlv', snapshot: 'cat', subscription: 'sub', audit: 'aud'
} as const

export type IdKind = keyof typeof prefixes

/** `grp_019…` */
export function newId (kind: IdKind): string {
  return `${prefixes[kind]}_${v7()}`
}

/** For schemas: what an id of this kind looks like. */
export function idPattern (kind: IdKind): string {
  return `^${prefixes[kind]}_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`
}
