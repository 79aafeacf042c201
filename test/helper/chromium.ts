/** A real Chromium, for tests of pages: the system's, or one that playwright-core has downloaded. scripts/install-chromium.sh gets one. */
import { existsSync, globSync } from 'node:fs'
import { homedir } from 'node:os'
import { chromium, type Browser } from 'playwright-core'

/** Undefined: there is none. The same places as in scripts/install-chromium.sh. */
export function findChromium (env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const downloads = `${env.PLAYWRIGHT_BROWSERS_PATH ?? `${homedir()}/.cache/ms-playwright`}/chromium*/chrome-*/{chrome,headless_shell,chrome-headless-shell}`
  return [env.CHROMIUM ?? '', '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', ...globSync(downloads)].find(path => path !== '' && existsSync(path))
}

export const noChromium = 'no Chromium: install one (scripts/install-chromium.sh), or say where it is (CHROMIUM=/path/to/it)'

export async function startChromium (executablePath: string): Promise<Browser> {
  return await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
}
