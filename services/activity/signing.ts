/** Signatures of Standard Webhooks (https://www.standardwebhooks.com): who has the secret knows that it was us, and when. */
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32

export function newSigningSecret (): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64')
}

/** The headers of one request. `secrets`: while they change both, of which the receiver needs one. */
export function signatureHeaders ({ id, body, secrets }: { id: string, body: string, secrets: readonly string[] }, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000))
  const signatures = secrets.map(secret => `v1,${createHmac('sha256', Buffer.from(secret.slice(PREFIX.length), 'base64')).update(`${id}.${timestamp}.${body}`).digest('base64')}`)
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
