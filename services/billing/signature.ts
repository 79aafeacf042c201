/**
 * Signatures of events: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`, of which there may be several v1 (https://docs.stripe.com/webhooks#verify-manually).
 *
 * What is kept true: the bytes are checked as they came; one right signature of any secret suffices, so that secrets can be replaced; what is older than five minutes, or as far in the future,
 * is refused; a comparison takes as long for a near miss as for a wide one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { BadSignature } from './errors.ts'

export const TOLERANCE_MS = 300_000

export interface Signed {
  readonly body: Uint8Array
  readonly header: unknown
}

/** Throws `BAD_SIGNATURE`. */
export function checkSignature ({ body, header }: Signed, secrets: readonly string[], now: number): void {
  const { time, signatures } = readHeader(header)
  const expected = secrets.map(secret => digest(secret, time, body))
  if (!signatures.some(given => expected.some(wanted => timingSafeEqual(given, wanted)))) throw new BadSignature('no signature in stripe-signature is right')
  if (Math.abs(now - Number(time) * 1000) > TOLERANCE_MS) throw new BadSignature('it was signed more than 300 s ago, or for the future')
}

/** The header for a body that is sent. */
export function signBody (body: Uint8Array, secret: string, now: number): string {
  const time = String(Math.floor(now / 1000))
  return `t=${time},v1=${digest(secret, time, body).toString('hex')}`
}

/** Other schemes than v1 are left out. */
function readHeader (header: unknown): { time: string, signatures: Buffer[] } {
  const parts = typeof header === 'string' ? header.split(',').map(part => part.trim()) : []
  const times = valuesOf(parts, 't').filter(value => /^\d{1,12}$/.test(value))
  const signatures = valuesOf(parts, 'v1').filter(value => /^[0-9a-f]{64}$/.test(value)).map(value => Buffer.from(value, 'hex'))
  const [time] = times
  if (time === undefined || times.length > 1 || signatures.length === 0) throw new BadSignature('the header stripe-signature is missing, or has not one t and a v1')
  return { time, signatures }
}

function valuesOf (parts: readonly string[], name: string): string[] {
  return parts.filter(part => part.startsWith(`${name}=`)).map(part => part.slice(name.length + 1))
}

function digest (secret: string, time: string, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${time}.`).update(body).digest()
}
