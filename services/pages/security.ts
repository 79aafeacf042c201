/**
 * What a browser may do in a page: run and show what comes from here, nothing else. No code and no style within the HTML; no page of others around these.
 * Only for the pages: the JSON routes and the page of the OpenAPI document have their own ways.
 */
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'

const self = ['\'self\'']
const none = ['\'none\'']

export async function securePages (app: FastifyInstance, { settings }: VaultContext): Promise<void> {
  const isHttps = settings.url?.startsWith('https:') === true
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: none, scriptSrc: self, styleSrc: self, imgSrc: self, connectSrc: self, formAction: self, baseUri: none, frameAncestors: none }
    },
    // /join/<code>: the code is for nobody else
    referrerPolicy: { policy: 'same-origin' },
    strictTransportSecurity: isHttps,
    crossOriginOpenerPolicy: { policy: 'same-origin' }
  })
}
