/**
 * A newer catalog, from its source into the tables (T12).
 *
 * What is kept true: one at a time over all processes; everything from the network is there, and was looked at, before the first statement of the transaction; what is
 * broken or suspect changes nothing.
 */
import type { Database } from '../../plugins/db/types.ts'
import type { VaultSettings } from '../settings.ts'
import { withDetails } from '../common/errors.ts'
import { defaultCatalog, defaultPrices } from './default-catalog.ts'
import { CatalogSuspect, NoCatalogUrl } from './errors.ts'
import { hashOf, installSnapshot, upsertPrices } from './install.ts'
import { withLease } from './lease.ts'
import type { Refreshed, Snapshot } from './schema.ts'
import { fetchCatalog, type Fetched } from './source.ts'
import { getActiveSnapshot, listSnapshots } from './store.ts'
import { compare, suspect } from './suspect.ts'

type Db = Pick<Database, 'prepare' | 'notify' | 'tx'>
type CatalogSettings = VaultSettings['catalog']

export const DEFAULT_SOURCE = 'default'

export interface Refresh { readonly source?: 'default' | 'url' | undefined, readonly dryRun?: boolean | undefined, readonly by: string }

/** Throws `REFRESH_RUNNING`, `NO_CATALOG_URL`, `CATALOG_SOURCE`, `CATALOG_SUSPECT`. */
export async function refreshCatalog (db: Db, settings: CatalogSettings, { source = settings.url === undefined ? 'default' : 'url', dryRun = false, by }: Refresh, now: () => number): Promise<Refreshed> {
  return await withLease(db, now(), async () => {
    const inForce = (await listSnapshots(db)).find(({ active }) => active)
    const { name, items, etag, prices } = source === 'default' ? fromApp() : await fromUrl(settings, inForce)
    const active = await getActiveSnapshot(db)
    const unchanged = { unchanged: true, activated: false, snapshotId: null, catalogVersion: active.pointer.version, itemCount: active.sorted.length, added: 0, removed: 0, changed: 0, prices: prices.length }
    const isNew = items !== undefined && hashOf(items) !== inForce?.hash
    if (isNew && source === 'url') refuseSuspect(suspect(items, active, { isSameSource: inForce?.source === name }))
    const found = isNew ? { ...unchanged, unchanged: false, itemCount: items.length, ...compare(items, active) } : unchanged
    if (dryRun) return found
    const installed = isNew ? await installSnapshot(db, { source: name, sourceEtag: etag, items, by, reason: 'refresh' }, now()) : undefined
    await upsertPrices(db, prices, now())
    return installed === undefined ? found : { ...found, activated: true, snapshotId: installed.snapshotId, catalogVersion: installed.version }
  })
}

/** So that there is a catalog from the first start on. */
export async function installDefault (db: Db, now: number): Promise<void> {
  const { pointer } = await getActiveSnapshot(db)
  if (pointer.snapshotId !== undefined) return
  const installed = await installSnapshot(db, { source: DEFAULT_SOURCE, sourceEtag: null, items: defaultCatalog, by: '', reason: 'first start' }, now)
  if (installed !== undefined) await upsertPrices(db, defaultPrices, now)
}

type Offer = Fetched & { readonly name: string }

function fromApp (): Offer {
  return { name: DEFAULT_SOURCE, items: defaultCatalog, etag: null, prices: defaultPrices }
}

async function fromUrl ({ url, contact }: CatalogSettings, inForce: Snapshot | undefined): Promise<Offer> {
  if (url === undefined) throw new NoCatalogUrl()
  return { name: url, ...await fetchCatalog({ url, contact, etag: inForce?.source === url ? inForce.etag : null }) }
}

function refuseSuspect (reasons: readonly string[]): void {
  if (reasons.length > 0) throw withDetails(new CatalogSuspect(reasons.join('; ')), { reasons })
}
