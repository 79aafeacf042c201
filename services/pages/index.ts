/**
 * The pages: HTML that is whole when it arrives, with the first data in it; the browser's own code (static/) then keeps it up to date by the JSON routes that everybody can use.
 *
 * What is kept true: no text that somebody chose is ever taken for HTML (static/shared/html.js), and if it were, the policy of the pages would not run it (security.ts).
 */
import type { FastifyInstance } from 'fastify'
import type { VaultContext } from '../common/context.ts'
import { serveAssets } from './assets.ts'
import { showProblem } from './problems.ts'
import { groupPages } from './routes/group-pages.ts'
import { openPages } from './routes/open-pages.ts'
import { ownPages } from './routes/own-pages.ts'
import { securePages } from './security.ts'

export default async function pages (app: FastifyInstance, context: VaultContext): Promise<void> {
  await securePages(app, context)
  await serveAssets(app)
  app.setErrorHandler(showProblem)
  openPages(app, context)
  ownPages(app, context)
  groupPages(app, context)
}
