/**
 * The files for the browser, under /static/<hash>/: the hash is that of all of them together, so that each can be kept for good, and modules find one another by relative paths.
 * Under another hash (a page that was open while the app was replaced) the files of now are answered, and kept by nobody.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

const root = new URL('./static/', import.meta.url)
const SERVED = /\.(?:js|css|svg)$/

export const assetHash = hashFiles()

/** `asset('pages.css')` → `/static/3f9a…/pages.css` */
export function asset (name: string): string {
  return `/static/${assetHash}/${name}`
}

export async function serveAssets (app: FastifyInstance): Promise<void> {
  await app.register(fastifyStatic, { root: fileURLToPath(root), serve: false, cacheControl: false })
  app.get<{ Params: { hash: string, '*': string } }>('/static/:hash/*', { schema: { hide: true } }, async (request, reply) => {
    const { hash, '*': path } = request.params
    if (!SERVED.test(path)) {
      reply.callNotFound()
      return await reply
    }
    reply.header('cache-control', hash === assetHash ? 'public, max-age=31536000, immutable' : 'no-cache')
    return await reply.sendFile(path)
  })
}

function hashFiles (): string {
  const hash = createHash('sha256')
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(path => SERVED.test(path)).sort()) hash.update(path).update(readFileSync(new URL(path, root)))
  return hash.digest('hex').slice(0, 12)
}
