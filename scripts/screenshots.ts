/**
 * `npm run screenshots`: the pictures of the pages for docs/vault.md, from the app itself on a database that is made for it, with the demo group in it and a group with two people.
 * Whoever changes how a page looks runs it and commits what it makes.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { chromium, type Browser, type Page } from 'playwright-core'
import application from '../app.ts'
import { findChromium, noChromium } from '../test/helper/chromium.ts'
import { explain } from './command.ts'

const usage = `Usage: npm run screenshots [-- options]

  --out <folder>   default: docs/images
  --only <name>    one of them, as vault-drawer-dark
  --help           this text

Needs a Chromium: scripts/install-chromium.sh gets one; CHROMIUM says where another is.`

interface Shot {
  readonly name: string
  /** A function: of the path of the group that was made. */
  readonly path: string | ((groupPath: string) => string)
  readonly theme: 'light' | 'dark'
  readonly size?: { readonly width: number, readonly height: number }
  /** What has to be there first. */
  readonly until: string
}

const desktop = { width: 1280, height: 800 }
const phone = { width: 360, height: 720 }

const shots: readonly Shot[] = [
  { name: 'vault-landing-light', path: '/', theme: 'light', until: '.preview .cell' },
  { name: 'vault-grid-light', path: '/demo?sort=ge', theme: 'light', until: '#live[data-state="live"]' },
  { name: 'vault-drawer-dark', path: '/demo?q=rune&item=560', theme: 'dark', until: '#drawer .holders' },
  { name: 'vault-member-light', path: '/demo?view=members', theme: 'light', until: '.panel' },
  { name: 'vault-settings-light', path: group => `${group}?view=settings`, theme: 'light', until: '#set-plan .pairs' },
  { name: 'vault-phone-light', path: '/demo?sort=ge', theme: 'light', size: phone, until: '#live[data-state="live"]' },
  { name: 'vault-phone-dark', path: '/demo?sort=ge&item=560', theme: 'dark', size: phone, until: '#drawer .holders' }
]

async function main (): Promise<void> {
  const { values: { out = fileURLToPath(new URL('../docs/images', import.meta.url)), only, help } } = parseArgs({ options: { out: { type: 'string' }, only: { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
  if (help === true) {
    console.log(usage)
    return
  }
  const wanted = shots.filter(({ name }) => only === undefined || name === only)
  if (wanted.length === 0) throw new Error(`expected --only as one of ${shots.map(({ name }) => name).join(', ')}, got ${only}.`)
  const executablePath = findChromium()
  if (executablePath === undefined) throw new Error(noChromium)
  const folder = mkdtempSync(join(tmpdir(), 'screenshots-'))
  const app = Fastify({ logger: { level: 'warn' }, forceCloseConnections: true })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  try {
    const origin = await startApp(app, join(folder, 'app.db'))
    const maker = await openPage(browser, origin, desktop)
    const groupPath = await makeGroup(maker, origin)
    for (const shot of wanted) console.log(await take(maker, shot, groupPath, out))
  } finally {
    await browser.close()
    await app.close()
    rmSync(folder, { recursive: true })
  }
}

async function startApp (app: FastifyInstance, file: string): Promise<string> {
  await app.register(fastifyPlugin(application), { env: { DATABASE_URL: `sqlite:${file}` } })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  return address.replace('127.0.0.1', 'localhost')
}

async function openPage (browser: Browser, baseURL: string, viewport: { width: number, height: number }): Promise<Page> {
  const context = await browser.newContext({ baseURL, viewport, reducedMotion: 'reduce' })
  return await context.newPage()
}

/** By two people, so that there is something to set. Answers its path. */
async function makeGroup (page: Page, origin: string): Promise<string> {
  await page.goto('/')
  await signIn(page, 'Ann')
  await page.getByLabel('Name of the group').fill('Five of us')
  await page.getByRole('button', { name: 'Make the group' }).click()
  await page.locator('#live[data-state="live"]').waitFor()
  const { pathname } = new URL(page.url())
  await page.getByRole('button', { name: 'Invite' }).click()
  const code = await page.locator('.join-code span').innerText()
  const browser = page.context().browser()
  if (browser === null) throw new Error('the browser is gone')
  const other = await openPage(browser, origin, desktop)
  await other.goto(`/join/${code}`)
  await signIn(other, 'Ben')
  await other.getByRole('button', { name: 'Join as Ben' }).click()
  await other.locator('#live').waitFor()
  await other.context().close()
  return pathname
}

async function signIn (page: Page, name: string): Promise<void> {
  await page.getByRole('link', { name: 'Sign in as a test person' }).click()
  await page.getByRole('link', { name, exact: true }).click()
  await page.waitForURL(/\/(?:app|join)/, { waitUntil: 'load' })
}

/** The landing page and the demo are shown as to a stranger. */
async function take (maker: Page, { name, path, theme, size = desktop, until }: Shot, groupPath: string, out: string): Promise<string> {
  const browser = maker.context().browser()
  if (browser === null) throw new Error('the browser is gone')
  const page = typeof path === 'string' ? await openPage(browser, new URL(maker.url()).origin, size) : maker
  await page.emulateMedia({ colorScheme: theme })
  await page.goto(typeof path === 'string' ? path : path(groupPath))
  await page.locator(until).first().waitFor()
  const file = join(out, `${name}.png`)
  await page.screenshot({ path: file })
  if (page !== maker) await page.context().close()
  return `${file}: ${Math.round(statSync(file).size / 1024)} kB`
}

if (import.meta.main) {
  try {
    await main()
  } catch (error) {
    console.error(`screenshots: ${explain(error)}`)
    process.exitCode = 1
  }
}
