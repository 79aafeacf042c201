/** The page in a real Chromium: a stuck statement is found and stopped, the figures are those of the app, and nobody is kept out. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import ops from '../../plugins/ops/index.ts'
import tx from '../../plugins/tx/index.ts'
import { startPlugins } from '../helper/app.ts'
import { findChromium, noChromium, startChromium } from '../helper/chromium.ts'
import { engines } from '../helper/db.ts'
import { skipWithoutNative } from '../helper/native.ts'

const executable = findChromium()
const token = 'a-token-of-the-tests'
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** With markup in it, which has to stay text. */
const ENDLESS = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 - i FROM n) SELECT count(*) AS "<img src=x onerror=alert(1)>" FROM n'

interface Violation { readonly id: string, readonly impact: string, readonly nodes: ReadonlyArray<{ readonly html: string, readonly failureSummary: string }> }

interface Visit { readonly app: FastifyInstance, readonly page: Page, readonly address: string, readonly errors: string[] }

/** An app, and somebody who has opened its page with the token. */
async function visit (t: Test, engine: typeof engines[number], browser: Browser): Promise<Visit> {
  const app = await startPlugins(t, engine, {}, { forceCloseConnections: true })
  await app.register(tx)
  await app.register(ops, { token })
  const endless = app.db.prepare(ENDLESS)
  app.get('/reports/:year', async () => await endless.get())
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const context = await browser.newContext({ baseURL: address, reducedMotion: 'reduce', viewport: { width: 1280, height: 900 } })
  t.teardown(async () => { await context.close() })
  const page = await context.newPage()
  const errors: string[] = []
  await page.goto('/ops')
  await page.locator('input[name=token]').fill(token)
  // what may not be there, and the form's own answer, are answers like others
  page.on('console', message => { if (message.type() === 'error' && !/status of 40[14]/.test(message.text())) errors.push(message.text()) })
  page.on('pageerror', error => { errors.push(error.message) })
  await page.locator('input[name=token]').press('Enter')
  await page.locator('body[data-ready]').waitFor()
  return { app, page, address, errors }
}

async function seriousThings (page: Page): Promise<string[]> {
  // not as an element: the page's policy would refuse that
  if (!await page.evaluate<boolean>('"axe" in globalThis')) await page.evaluate(axe)
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run(document, { resultTypes: ["violations"] })')
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`))
}

void t.test('in a browser', { skip: executable === undefined && noChromium }, async t => {
  const browser = await startChromium(executable ?? '')
  t.teardown(async () => { await browser.close() })

  for (const engine of engines) {
    await t.test(`${engine}: who has never seen it finds the stuck statement and stops it`, { skip: engine === 'sqlite' && skipWithoutNative('ends statements') }, async t => {
      const { page, address, errors } = await visit(t, engine, browser)
      await page.getByText('No statement is running.').waitFor()
      const stuck = fetch(`${address}/reports/2025`)
      const row = page.locator('#running-list .row')
      await row.waitFor()
      t.match(await row.innerText(), /GET \/reports\/:year/)
      t.match(await row.innerText(), /<img src=x onerror=alert\(1\)>/, 'as text')
      // on a busy machine something else may be worth a look, too, and be worse
      await page.locator('#verdict:is([data-level=warn], [data-level=bad])', { hasText: /A statement has been running for .*GET \/reports\/:year/s }).waitFor()
      await row.getByRole('button', { name: /^Stop/ }).click()
      await page.getByRole('dialog').getByText('HTTP 503').waitFor()
      if (engine === 'sqlite') t.strictSame(await seriousThings(page), [], 'with a row and the question')
      await page.getByRole('button', { name: 'Let it run' }).click()
      t.equal(await row.count(), 1, 'is still there')
      await page.locator('body').press('s')
      await page.getByRole('button', { name: 'Stop the statement' }).press('Enter')
      const answer = await stuck
      t.equal(answer.status, 503)
      t.match(await answer.json(), { code: 'TDM_ERR_OPS_STOPPED' })
      await page.getByText('Stopped: GET /reports/:year').waitFor()
      await row.waitFor({ state: 'detached' })
      t.strictSame(errors, [])
    })
  }

  await t.test('the figures on it are those of db.status(); legible in both themes and at each width', async t => {
    const { app, page, errors } = await visit(t, 'sqlite', browser)
    await app.db.exec('CREATE TABLE item (id BIGINT PRIMARY KEY)')
    const insert = app.db.prepare('INSERT INTO item (id) VALUES (?)')
    for (let id = 0; id < 1234; id++) await insert.run(id)
    await t.rejects(insert.run(3))
    const statement = page.locator('.statement', { hasText: insert.sql })
    await statement.locator('.of-count b', { hasText: '1,234' }).waitFor()
    t.equal(await statement.locator('.of-failures b').innerText(), '1')
    t.equal(await page.locator('#parts-list .fact', { hasText: 'Failed statements' }).locator('.value').innerText(), '1')
    await statement.locator('summary').press('Enter')
    const found = app.db.status().statements.find(({ sql }) => sql === insert.sql)
    t.match(await statement.innerText(), `${found?.runs}: ${found?.why}`)
    const { inline, apart } = app.db.status().meters.runs
    const placed = page.locator('#placement-list .fact')
    t.strictSame(await placed.locator('.value').allInnerTexts(), [inline.count, apart.count].map(count => count.toLocaleString('en-US')))
    await page.locator('.chart .line').first().waitFor({ state: 'attached' })
    const chart = page.getByRole('slider', { name: /^Statements per second/ })
    await chart.press('ArrowLeft')
    t.match(await chart.getAttribute('aria-valuetext'), /^\d\d:\d\d:\d\d: ended .*\/s, failed /)
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      t.strictSame(await seriousThings(page), [], colorScheme)
    }
    await page.getByRole('button', { name: 'Light' }).click()
    t.equal(await page.evaluate('document.documentElement.dataset.theme'), 'light', 'the theme can be chosen')
    for (const width of [360, 768, 2000]) {
      await page.setViewportSize({ width, height: 720 })
      t.ok(await page.evaluate<number>('document.documentElement.scrollWidth') <= width, `nothing is wider than ${width}`)
    }
    await page.locator('body').press('p')
    await page.getByText(/^Paused at/).waitFor()
    t.strictSame(errors, [])
  })
})
