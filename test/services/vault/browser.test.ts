/**
 * The pages in a real Chromium: two people, each with a browser, and a plugin. From the first visit to the live vault on both engines; what pages look like and how they are used
 * on one.
 */
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { findChromium, noChromium } from '../../helper/chromium.ts'
import { engines } from '../../helper/db.ts'
import { BrowserWorld } from './browser-world.ts'

const executable = findChromium()
if (executable === undefined) {
  t.pass(`skipped: ${noChromium}`, { skip: noChromium })
} else {
  for (const engine of engines) {
    void t.test(`from the first visit to a vault that changes while one looks, on ${engine}`, { timeout: 180_000 }, async t => {
      const browsers = await BrowserWorld.start(t, engine, executable)

      const ann = await browsers.open('/')
      await browsers.signIn(ann, 'Ann')
      await ann.getByLabel('Name of the group').fill('Five of <us>')
      await ann.getByRole('button', { name: 'Make the group' }).click()
      await ann.getByRole('heading', { name: 'The vault is empty' }).waitFor()
      await ann.locator('#live[data-state="live"]').waitFor()
      const groupUrl = ann.url()
      await ann.getByRole('button', { name: 'Invite' }).click()
      const code = await ann.locator('.join-code span').innerText()
      t.match(code, /^[B-Z]{4}-[B-Z]{4}$/)

      const ben = await browsers.open(`/join/${code}`)
      await ben.getByText('Sign in, and you come back here.').waitFor()
      await browsers.signIn(ben, 'Ben')
      await ben.getByRole('button', { name: 'Join as Ben' }).click()
      await ben.getByRole('heading', { name: 'The vault is empty' }).waitFor()
      t.equal(ben.url(), groupUrl)
      await ben.locator('#live[data-state="live"]').waitFor()
      await ann.locator('#members').getByText('Ben').waitFor()
      t.equal(await ann.locator('#member-count').innerText(), '2/5', 'the first browser knows of the second person')
      await ann.keyboard.press('Escape')

      const plugin = await browsers.pair(ann)
      const watched = await markPage(ben)
      await browsers.upload(plugin, { bank: [[4151, 2], [385, 1200]], inventory: Array.from({ length: 28 }, (_, i) => i === 0 ? [995, 250_000] : [0, 0]) })
      await ben.locator('#i-4151 .badge', { hasText: '2' }).waitFor()
      t.equal(await ben.locator('#i-385 .badge').innerText(), '1,200')
      t.equal(await ben.locator('#i-995 .badge').innerText(), '250K')
      await browsers.upload(plugin, { bank: [[4151, 3], [385, 1200]] })
      await ben.locator('#i-4151 .badge', { hasText: '3' }).waitFor()
      t.ok(await watched(), 'it is still the page that was opened')

      await ann.goto(groupUrl)
      t.match(await ann.locator('#i-4151 .unseen').innerText(), /, 3\. Ann 3$/, 'and who comes later has it in the HTML')
      if (engine === 'sqlite') await usePages(t, browsers, { ann, ben, groupUrl, code })
      t.strictSame(browsers.errors, [], 'no page reported an error, nor a breach of its policy')
    })
  }
}

/** Answers whether the page is still the same one. */
async function markPage (page: Page): Promise<() => Promise<boolean>> {
  await page.evaluate('globalThis.isMarked = true')
  return async () => await page.evaluate<boolean>('globalThis.isMarked === true')
}

async function usePages (t: Test, browsers: BrowserWorld, { ann, ben, groupUrl, code }: { ann: Page, ben: Page, groupUrl: string, code: string }): Promise<void> {
  await t.test('by keyboard: / searches, arrows go through the items, Enter opens one, Esc closes it', async t => {
    await ann.keyboard.press('/')
    await ann.keyboard.type('4151')
    await ann.waitForURL(/q=4151/)
    await ann.locator('#i-385').waitFor({ state: 'detached' })
    await ann.keyboard.press('Escape')
    await ann.locator('#i-385').waitFor()
    await ann.locator('.cell').first().focus()
    await ann.keyboard.press('ArrowRight')
    const second = await ann.locator('.cell').nth(1).getAttribute('id')
    t.equal(await ann.evaluate<string>('document.activeElement.id'), second)
    await ann.keyboard.press('Enter')
    await ann.locator('#drawer .holders').waitFor()
    t.match(ann.url(), /item=\d+/)
    await ann.keyboard.press('Escape')
    await ann.locator('#drawer').waitFor({ state: 'hidden' })
    t.equal(await ann.evaluate<string>('document.activeElement.id'), second, 'the focus is where it was')
    await ann.goBack()
    await ann.locator('#drawer .holders').waitFor()
  })

  await t.test('what an address says is shown, also without scripts', async t => {
    await ann.goto(`${groupUrl}?q=995&layout=list&item=995`)
    t.equal(await ann.locator('.cell').count(), 1)
    await ann.locator('#drawer .holders').getByText('Inventory').waitFor()
    t.equal(await ann.locator('#q').inputValue(), '995')
    t.equal(await ann.locator('[data-layout="list"][aria-pressed="true"]').count(), 1)
  })

  await t.test('nobody is kept out: axe finds nothing serious, in light and dark, and nothing is wider than a small phone', async t => {
    for (const path of ['/', '/app', '/app/link', `/join/${code}`, '/join/NOTHING', groupUrl, `${groupUrl}?layout=list&item=4151`, `${groupUrl}?view=members`, `${groupUrl}?view=activity`, `${groupUrl}?view=settings`, `${groupUrl}?q=nothing-has-this-name`]) {
      await ann.goto(path)
      await ann.locator('.view:not([hidden]) .skeleton').first().waitFor({ state: 'detached' })
      for (const colorScheme of ['light', 'dark'] as const) {
        await ann.emulateMedia({ colorScheme })
        t.strictSame(await browsers.findBarriers(ann, colorScheme === 'light' ? undefined : 'color-contrast'), [], `${path} ${colorScheme}`)
      }
      await ann.setViewportSize({ width: 360, height: 740 })
      t.ok(await ann.evaluate<boolean>('document.documentElement.scrollWidth <= 360'), `${path} at 360 px`)
      await ann.setViewportSize({ width: 1280, height: 800 })
    }
  })

  await t.test('without a network the page says of when it is, and catches up', async () => {
    await ben.context().setOffline(true)
    await ben.getByText(/You are offline\. This is as of/).waitFor()
    await ben.context().setOffline(false)
    await ben.getByText(/You are offline/).waitFor({ state: 'hidden' })
    await ben.locator('#live[data-state="live"]').waitFor()
  })

  await t.test('settings: a device is revoked, and who is removed is told so', async () => {
    await ann.goto(`${groupUrl}?view=settings`)
    ann.on('dialog', dialog => { void dialog.accept() })
    await ann.getByRole('button', { name: 'Revoke' }).click()
    await ann.getByText('No plugin is linked yet.').waitFor()
    await ann.getByRole('button', { name: 'Remove' }).click()
    await ben.getByRole('heading', { name: 'You are not in this group any more' }).waitFor()
  })

  await t.test('the theme is chosen, and kept', async t => {
    await ann.goto('/app')
    await ann.getByRole('button', { name: /^Theme/ }).click()
    await ann.getByRole('button', { name: /^Theme/ }).click()
    await ann.reload()
    t.equal(await ann.locator('html').getAttribute('data-theme'), 'dark')
    t.equal(await ann.evaluate<string>('getComputedStyle(document.documentElement).colorScheme'), 'dark')
  })
}
