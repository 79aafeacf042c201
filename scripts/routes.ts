/**
 * `npm run routes`: every route of the application, from the application itself, and how many there are in each family of the group vault.
 * Starts on an empty database in memory, and asks nobody.
 */
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import application from '../app.ts'
import { families } from '../services/common/route.ts'

const usage = `Usage: npm run routes [-- options]

  --family <name>  those of one family: ${families.join(', ')}
  --json           as JSON
  --help           this text`

export interface ListedRoute { readonly method: string, readonly path: string, readonly family: string | undefined, readonly summary: string }

/** Without the HEAD that Fastify makes of each GET. */
export async function listRoutes (): Promise<ListedRoute[]> {
  const app = Fastify()
  const routes: ListedRoute[] = []
  app.addHook('onRoute', ({ method, url, config, schema }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.push({ method: one, path: url, family: config?.family, summary: schema?.summary ?? '' })
  })
  await app.register(application, { env: { DATABASE_URL: 'sqlite::memory:' } })
  await app.ready()
  await app.close()
  return routes
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { family: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  if (values.family !== undefined && !(families as readonly string[]).includes(values.family)) throw new Error(`expected --family as one of ${families.join(', ')}, got ${values.family}.`)
  const all = await listRoutes()
  const shown = values.family === undefined ? all : all.filter(({ family }) => family === values.family)
  if (values.json === true) {
    console.log(JSON.stringify(shown, null, 2))
    return
  }
  const width = Math.max(...shown.map(({ path }) => path.length))
  for (const { family = '-', method, path, summary } of shown) console.log(`${family.padEnd(8)}  ${method.padEnd(6)}  ${path.padEnd(width)}  ${summary}`)
  const counts = families.map(family => ({ family, count: all.filter(route => route.family === family).length }))
  console.log(`\n${counts.map(({ family, count }) => `${family} ${count}`).join(', ')}: ${counts.reduce((sum, { count }) => sum + count, 0)} in the group vault`)
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    console.error(`routes: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
