/**
 * The routes of names and prices of items: for everybody what is in force, for operators which snapshot that is.
 *
 * What is kept true: an answer is of one snapshot. At the first start the catalog that comes with the app is put in force.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { errorKind } from '../../plugins/errors.ts'
import { sessionOf } from '../auth/access.ts'
import type { VaultContext } from '../common/context.ts'
import { isSameEtag } from '../common/etag.ts'
import { API, closed, describe } from '../common/route.ts'
import type { CatalogPointer } from './catalog.ts'
import { installDefault, refreshCatalog } from './refresh.ts'
import { ItemId, Items, OneItem, Refreshed, RefreshBody, RollbackBody, RolledBack, SearchQuery, Snapshots } from './schema.ts'
import { getActiveSnapshot, getCatalogItem, listSnapshots, rollbackToSnapshot, searchCatalog } from './store.ts'

const ItemParams = closed({ itemId: ItemId })

const search = describe({ family: 'web', summary: 'Items by name or id', querystring: SearchQuery, answers: { 200: Items, 304: null } })
const item = describe({ family: 'web', summary: 'An item and its price', params: ItemParams, answers: { 200: OneItem, 304: null } })
const list = describe({ family: 'ops', summary: 'The snapshots of the catalog', answers: { 200: Snapshots } })
const refresh = describe({ family: 'ops', summary: 'A newer catalog from its source', body: RefreshBody, answers: { 200: Refreshed } })
const rollback = describe({ family: 'ops', summary: 'Another snapshot in force', body: RollbackBody, answers: { 200: RolledBack } })

const CACHE = 'public, max-age=3600'

export default async function catalog (app: FastifyInstance, { settings, now, log }: VaultContext): Promise<void> {
  try {
    await installDefault(app.db, now())
  } catch (error) {
    if (errorKind(error) !== 'readonly') throw error
    log.info({}, 'the database can only be read, so there is no catalog in it')
  }

  app.get<{ Querystring: SearchQuery }>(`${API}/catalog/items`, search, async ({ query, headers }, reply) => {
    const catalog = await getActiveSnapshot(app.db)
    const etag = etagOf(catalog.pointer, query)
    reply.header('etag', etag).header('cache-control', CACHE)
    if (isSameEtag(headers['if-none-match'], etag)) return await reply.code(304).send()
    return { catalogVersion: catalog.pointer.version, ...searchCatalog(catalog, query) }
  })

  app.get<{ Params: Static<typeof ItemParams> }>(`${API}/catalog/items/:itemId`, item, async ({ params, headers }, reply) => {
    const catalog = await getActiveSnapshot(app.db)
    const answer = { catalogVersion: catalog.pointer.version, item: getCatalogItem(catalog, params.itemId) }
    const etag = etagOf(catalog.pointer, params)
    reply.header('etag', etag).header('cache-control', CACHE)
    return isSameEtag(headers['if-none-match'], etag) ? await reply.code(304).send() : answer
  })

  app.get(`${API}/ops/catalog/snapshots`, { ...list, onRequest: app.access.operator }, async () => ({ snapshots: await listSnapshots(app.db) }))

  // the network comes first, so the store has transactions of its own
  app.post<{ Body: RefreshBody }>(`${API}/ops/catalog/refresh`, { ...refresh, config: { ...refresh.config, tx: false }, onRequest: app.access.operator }, async request =>
    await refreshCatalog(app.db, settings.catalog, { ...request.body, by: sessionOf(request).userId }, now))

  app.post<{ Body: RollbackBody }>(`${API}/ops/catalog/rollback`, { ...rollback, onRequest: app.access.operator }, async request =>
    await rollbackToSnapshot(app.db, { ...request.body, by: sessionOf(request).userId }, now()))
}

function etagOf ({ snapshotId, version, pricesKey }: CatalogPointer, query: object): string {
  return `"${createHash('sha256').update(JSON.stringify([snapshotId, version, pricesKey, query])).digest('base64url').slice(0, 27)}"`
}
