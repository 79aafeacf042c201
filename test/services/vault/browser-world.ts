/** People with browsers, and plugins, at an app that listens. What a page reports as an error, above all a breach of its policy, is kept. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { EngineName } from '../../../plugins/db/types.ts'
import { startChromium } from '../../helper/chromium.ts'
import { startWorld, type World } from './world.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation { readonly id: string, readonly impact: string, readonly nodes: ReadonlyArray<{ readonly html: string, readonly failureSummary: string }> }

export interface Paired { readonly token: string, readonly epoch: number }

/** The answer of a route that must not fail. */
async function readAnswer<T> (answer: Response): Promise<T> {
  if (!answer.ok) throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`)
  return await answer.json() as T
}

export class BrowserWorld {
  readonly world: World
  readonly origin: string
  /** Of all pages: what a browser's console showed as an error. */
  readonly errors: string[] = []
  readonly #browser: Browser
  #seq = 0

  constructor (world: World, browser: Browser, origin: string) {
    this.world = world
    this.origin = origin
    this.#browser = browser
  }

  static async start (t: Test, engine: EngineName, executable: string): Promise<BrowserWorld> {
    const world = await startWorld(t, engine)
    const [browser] = await Promise.all([startChromium(executable), world.app.listen({ port: 0, host: '127.0.0.1' })])
    t.teardown(async () => { await browser.close() })
    const address = world.app.server.address()
    return new BrowserWorld(world, browser, `http://localhost:${typeof address === 'object' ? address?.port : ''}`)
  }

  /** A browser of its own, with nothing in it. */
  async open (path: string, { width = 1280, height = 800 } = {}): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: { width, height }, reducedMotion: 'reduce', baseURL: this.origin })
    context.setDefaultTimeout(20_000)
    const page = await context.newPage()
    // that there is nothing is an answer like any other
    page.on('console', message => { if (message.type() === 'error' && !message.text().includes('status of 404')) this.errors.push(`${page.url()}: ${message.text()}`) })
    page.on('pageerror', error => { this.errors.push(`${page.url()}: ${error.message}`) })
    await page.goto(path)
    return page
  }

  /** From a page with the ways to sign in, back to where that leads. */
  async signIn (page: Page, name: string): Promise<void> {
    await page.getByRole('link', { name: 'Sign in as a test person' }).click()
    await page.getByRole('link', { name, exact: true }).click()
    await page.waitForURL(/\/(?:app|join)/, { waitUntil: 'load' })
  }

  /** As a plugin does it; its code is confirmed in the browser of somebody who is signed in. */
  async pair (page: Page): Promise<Paired> {
    const { deviceCode, verificationUriComplete } = await this.#post<{ deviceCode: string, verificationUriComplete: string }>('/sync/pair/start', { pluginName: 'test', pluginVersion: '1.0.0', deviceLabel: 'Ann\'s laptop' })
    await page.goto(verificationUriComplete.replace(/^https?:\/\/[^/]+/, ''))
    await page.getByText('Ann\'s laptop').waitFor()
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByRole('heading', { name: 'Linked' }).waitFor()
    this.world.clock.now += 6000
    const { token } = await this.#post<{ token: string }>('/sync/pair/poll', { deviceCode })
    const { epoch } = await this.#post<{ epoch: number }>('/sync/sessions', { accountHash: '-7239145530219944617', characterName: 'Ann', clientTime: this.#now() }, token)
    return { token, epoch }
  }

  /** `containers`: by name, pairs of id and quantity. */
  async upload ({ token, epoch }: Paired, containers: Readonly<Record<string, ReadonlyArray<readonly [number, number]>>>): Promise<void> {
    const named = Object.fromEntries(Object.entries(containers).map(([name, items]) => [name, { items }]))
    await this.#post('/sync/containers', { epoch, seq: ++this.#seq, capturedAt: this.#now(), containers: named }, token)
  }

  /** What axe finds serious in a page as it is now: 'rule: element'. `rule`: only that one. */
  async findBarriers (page: Page, rule?: string): Promise<string[]> {
    if (!await page.evaluate<boolean>('"axe" in globalThis')) await page.evaluate(axe)
    const { violations } = await page.evaluate<{ violations: Violation[] }>(`axe.run(document, ${JSON.stringify({ resultTypes: ['violations'], ...(rule !== undefined && { runOnly: [rule] }) })})`)
    return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)}: ${failureSummary.slice(0, 200)}`))
  }

  #now (): string {
    return new Date(this.world.clock.now).toISOString()
  }

  async #post<T> (path: string, body: object, token?: string): Promise<T> {
    const headers = { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
    return await readAnswer<T>(await fetch(`${this.origin}/api/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) }))
  }
}
