/**
 * Items and prices from a server in the form of prices.runescape.wiki: `/mapping` and `/latest`.
 *
 * What is kept true: nothing of the database is held meanwhile. An answer that is late, too large, no JSON or of another form is `CATALOG_SOURCE`, whatever the server had in
 * mind. Redirects are not followed.
 */
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { CatalogSource } from './errors.ts'
import type { NewItem, NewPrice } from './install.ts'

const MOST_BYTES = 10_000_000
const TIMEOUT_MS = 30_000
const LARGEST = Number.MAX_SAFE_INTEGER

export interface SourceOptions {
  readonly url: string
  readonly contact: string | undefined
  /** Of what is there already: if nothing is newer, no items come. */
  readonly etag: string | null
}

export interface Fetched {
  /** Undefined: as before. The name of one that has none is ''. */
  readonly items: readonly NewItem[] | undefined
  readonly etag: string | null
  readonly prices: readonly NewPrice[]
}

const Whole = Type.Integer({ minimum: 0, maximum: LARGEST })
const WholeOrNothing = Type.Optional(Type.Union([Whole, Type.Null()]))
// compiled: some 16,000 items take 20 ms, where a check that walks the schema takes a second
const Mapping = Compile(Type.Array(Type.Object({
  id: Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }),
  name: Type.Optional(Type.String({ maxLength: 200 })),
  examine: Type.Optional(Type.String({ maxLength: 2000 })),
  members: Type.Optional(Type.Boolean()),
  lowalch: WholeOrNothing,
  highalch: WholeOrNothing,
  value: WholeOrNothing,
  limit: WholeOrNothing,
  icon: Type.Optional(Type.String({ maxLength: 300 }))
})))
const Latest = Compile(Type.Object({
  data: Type.Record(Type.String({ pattern: '^\\d{1,10}$' }), Type.Object({ high: WholeOrNothing, highTime: WholeOrNothing, low: WholeOrNothing, lowTime: WholeOrNothing }))
}))

/** Throws `CATALOG_SOURCE`. */
export async function fetchCatalog ({ url, contact, etag }: SourceOptions): Promise<Fetched> {
  const base = url.replace(/\/+$/, '')
  const headers = { accept: 'application/json', 'user-agent': `fastify-tandem group vault (${contact ?? 'no contact given'})` }
  const mapping = await fetchJson(`${base}/mapping`, { ...headers, ...(etag !== null && { 'if-none-match': etag }) })
  const latest = await fetchJson(`${base}/latest`, headers)
  return {
    items: mapping === undefined ? undefined : readMapping(mapping.body),
    etag: mapping?.etag ?? etag,
    prices: readLatest(latest?.body)
  }
}

function readMapping (body: unknown): NewItem[] {
  if (!Mapping.Check(body)) throw new CatalogSource('/mapping is no list of items')
  return body.map(({ id, name = '', examine = '', members = false, lowalch, highalch, value, limit, icon = '' }) => ({
    itemId: id, name: name.trim(), examine, members, value: value ?? 0, lowAlch: lowalch ?? null, highAlch: highalch ?? null, buyLimit: limit ?? null, iconKey: icon, tradeable: true
  }))
}

function readLatest (body: unknown): NewPrice[] {
  if (!Latest.Check(body)) throw new CatalogSource('/latest is no list of prices')
  const milliseconds = (seconds: number | null | undefined): number | null => typeof seconds === 'number' ? seconds * 1000 : null
  return Object.entries(body.data).map(([id, { high, highTime, low, lowTime }]) =>
    ({ itemId: Number(id), high: high ?? null, highAt: milliseconds(highTime), low: low ?? null, lowAt: milliseconds(lowTime) }))
}

/** Undefined: 304. */
async function fetchJson (url: string, headers: Record<string, string>): Promise<{ body: unknown, etag: string | null } | undefined> {
  const path = new URL(url).pathname
  try {
    const answer = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) })
    if (answer.status === 304) return undefined
    if (!answer.ok) throw new CatalogSource(`${path} answers ${answer.status}`)
    return { body: JSON.parse(await readText(answer, path)), etag: answer.headers.get('etag') }
  } catch (error) {
    throw error instanceof CatalogSource ? error : new CatalogSource(`${path} ${describe(error)}`)
  }
}

function describe (error: unknown): string {
  if (error instanceof SyntaxError) return 'is no JSON'
  return error instanceof Error && error.name === 'TimeoutError' ? 'takes too long' : 'cannot be reached'
}

async function readText ({ body }: Response, path: string): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength
    if (bytes > MOST_BYTES) throw new CatalogSource(`${path} is longer than ${MOST_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
