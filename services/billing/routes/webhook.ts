/**
 * Where the provider tells what has happened.
 *
 * What is kept true: only what is signed is read; the bytes are signed, so this route, and it alone, gets them as they came. An event that is stored is answered with 200,
 * whatever becomes of it: what could not be applied is applied later. One that is not stored is answered with an error, and the provider sends it again.
 */
import type { FastifyInstance } from 'fastify'
import { API, describe } from '../../common/route.ts'
import { providerOf, type BillingContext } from '../context.ts'
import { receiveEvent } from '../process-events.ts'
import { readEvent } from '../provider-objects.ts'
import { Received } from '../schema.ts'
import { checkSignature } from '../signature.ts'

export const WEBHOOK = `${API}/billing/webhook`
const MOST_BYTES = 256 * 1024

export async function webhookRoute (app: FastifyInstance, context: BillingContext): Promise<void> {
  const { log, now, secrets } = context
  const described = describe({
    family: 'billing',
    summary: 'An event of the payment provider',
    description: 'The body is an event as Stripe sends it, signed in the header stripe-signature. An event of an unknown type is answered with 200.',
    answers: { 200: Received }
  })
  await app.register(async scope => {
    scope.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })
    scope.post<{ Body: Buffer | undefined }>(WEBHOOK, {
      ...described,
      bodyLimit: MOST_BYTES,
      config: { ...described.config, tx: false }
    }, async ({ body = Buffer.alloc(0), headers }) => {
      const provider = providerOf(context)
      checkSignature({ body, header: headers['stripe-signature'] }, secrets, now())
      const text = body.toString('utf8')
      const { duplicate } = await receiveEvent({ db: app.db, provider, log, now }, readEvent(text), text)
      return { received: true, ...(duplicate && { duplicate }) }
    })
  })
}
