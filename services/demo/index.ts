/**
 * The demo group, for everybody to look at: made when the app begins to listen, and alive while it is watched.
 *
 * Register it before the routes whose requests are to count as watching: the demo page, and whatever is asked for with the id of the group, its live events too.
 */
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { errorKind } from '../../plugins/errors.ts'
import type { VaultContext } from '../common/context.ts'
import { DemoLife } from './life.ts'
import { seedDemo } from './seed.ts'

export const DEMO_PAGE = '/demo'

async function demo (app: FastifyInstance, { log, now }: VaultContext): Promise<void> {
  const life = new DemoLife({ db: app.db, log, now })
  app.addHook('onRequest', ({ routeOptions, params }, reply, done) => {
    const { groupId } = (params ?? {}) as { groupId?: string }
    if (routeOptions.url === DEMO_PAGE || (groupId !== undefined && groupId === life.groupId)) reply.raw.once('close', life.watch())
    done()
  })
  let made: Promise<void> | undefined
  app.addHook('onListen', async () => { await (made = make()) })
  app.addHook('onClose', async () => {
    await made
    await life.stop()
  })

  async function make (): Promise<void> {
    try {
      const { groupId, isNew } = await seedDemo(app.db, now())
      if (isNew) log.info({ group: groupId }, `the demo group is made: see ${DEMO_PAGE}`)
      life.start(groupId)
    } catch (error) {
      log[errorKind(error) === 'readonly' ? 'info' : 'warn']({ err: error }, 'there is no demo group: it could not be made')
    }
  }
}

export default fastifyPlugin(demo, { name: 'vault-demo', fastify: '5.x' })
