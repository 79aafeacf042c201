/** The app that the README builds from an empty folder: its files as they stand there, its tests, its server and its requests, on both engines; and its way from one to the other. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { engines, freshFolder, freshUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { makeProject } from '../helper/project.ts'
import { findFences } from '../rules/fences.ts'
import { start, waitFor } from '../rules/run.ts'
import { packages, startServer } from './server.ts'

const readme = readFileSync(new URL('README.md', root), 'utf8')
const fences = findFences('README.md', readme)

/** A folder with the files of the README, beside the package. */
function followReadme (t: Test): string {
  const folder = freshFolder(t)
  for (const { file, code } of fences) {
    if (file === undefined) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), code)
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }') // as npm init and npm pkg set leave it
  return makeProject(t, `${pathToFileURL(folder).href}/`, packages)
}

for (const engine of engines) {
  void t.test(`${engine}: its tests pass, its server answers, and what it refuses is undone`, { timeout: 60_000 }, async t => {
    const project = followReadme(t)
    const url = await freshUrl(t, engine)
    const { code, output } = await waitFor(start(process.execPath, ['--test'], { cwd: project, env: { PATH: process.env.PATH, DATABASE_URL: url } }))
    t.equal(code, 0, output)
    t.match(output, /pass 1\n/)
    const { ask, status } = await startServer(t, project, ['server.ts'], { DATABASE_URL: url })
    const rows = [{ name: 'ann', balance: 100 }, { name: 'bob', balance: 0 }]
    t.strictSame(await ask('GET', '/accounts'), rows, 'its tests left nothing behind')
    const [, body = ''] = /-d '(\{[^']*\})'/.exec(readme) ?? []
    t.strictSame(await ask('POST', '/transfers', JSON.parse(body) as object), { from: 'ann', to: 'bob', amount: 30 }, 'the request of the README')
    const refused = [[{ from: 'ann', to: 'bob', amount: 71 }, 409], [{ from: 'ann', to: 'eve', amount: 1 }, 404], [{ from: 'ann', to: 'bob', amount: -1 }, 400]] as const
    for (const [transfer, expected] of refused) t.equal(await status('POST', '/transfers', transfer), expected)
    t.strictSame(await ask('GET', '/accounts'), [{ name: 'ann', balance: 70 }, { name: 'bob', balance: 30 }])
  })
}

void t.test('its rows move to PostgreSQL by the program of docs/moving-to-postgres.md', { timeout: 60_000 }, async t => {
  const project = followReadme(t)
  const guide = findFences('guide', readFileSync(new URL('docs/moving-to-postgres.md', root), 'utf8'))
  writeFileSync(join(project, 'copy.ts'), guide.find(({ file }) => file === 'copy.ts')?.code ?? '')
  const [from, to] = [await freshUrl(t, 'sqlite'), await freshUrl(t, 'postgres')]
  const sqlite = await startServer(t, project, ['server.ts'], { DATABASE_URL: from })
  await sqlite.ask('POST', '/transfers', { from: 'ann', to: 'bob', amount: 30 })
  await sqlite.stop()
  const { code, output } = await waitFor(start(process.execPath, ['copy.ts', from, to], { cwd: project, env: { PATH: process.env.PATH } }))
  t.equal(code, 0, output)
  const postgres = await startServer(t, project, ['server.ts'], { DATABASE_URL: to })
  t.strictSame(await postgres.ask('GET', '/accounts'), [{ name: 'ann', balance: 70 }, { name: 'bob', balance: 30 }])
})
