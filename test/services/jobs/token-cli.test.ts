// `npm run token` as a process: what it prints where, and what it answers to the shell.
import t, { type Test } from 'tap'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findToken } from '../../../services/jobs/tokens.ts'
import { makeJobs, writeJobDb } from '../../data/jobs.ts'
import { engines, freshUrl, openUrl } from '../../helper/db.ts'
import { withoutNotice } from '../../helper/native.ts'
import { root } from '../../helper/paths.ts'
import { start, waitFor } from '../../rules/run.ts'

const script = fileURLToPath(new URL('scripts/token.ts', root))

async function run (t: Test, url: string, ...args: string[]): Promise<{ code: number | null, stdout: string, stderr: string }> {
  const child = start(process.execPath, [script, ...args], { cwd: t.testdir({}), env: { PATH: process.env.PATH, DATABASE_URL: url } })
  const { code, stdout, output } = await waitFor(child)
  return { code, stdout, stderr: withoutNotice(output.slice(stdout.length)) }
}

for (const engine of engines) {
  void t.test(`it makes, lists and revokes tokens, on ${engine}`, async t => {
    const url = await freshUrl(t, engine)
    t.match(await run(t, url, 'list'), { code: 0, stdout: /^There are no tokens/, stderr: '' })
    const made = await run(t, url, 'create', '--user', 'ann', '--role', 'manager', '--role', 'api', '--project', 'P1', '--name', 'for scripts', '--expires', '30d')
    t.match(made, { code: 0, stdout: /^[\w-]{43}\n$/, stderr: /^token 1: ann, manager and api; valid until .* UTC\. It is shown this once\.\nIt is the first: / }, made.stderr)
    t.match(await run(t, url, 'create', '--user', 'bob', '--role', 'api'), { code: 0, stderr: /^token 2: bob, api; valid until it is revoked\.[^\n]*\n$/ })

    const db = await openUrl(t, url)
    const now = Math.floor(Date.now() / 1000)
    const found = await findToken(db, made.stdout.trim(), now)
    t.match(found, { name: 'for scripts', user: { username: 'ann', roles: ['manager', 'api'], projects: ['P1'] } })
    t.equal((found?.expires ?? 0) - (found?.created ?? 0), 30 * 86400)
    const listed = await run(t, url, 'list')
    t.match(listed.stdout, /^1 +ann +manager api +P1 +.* UTC +.* UTC +never +for scripts$/m)
    t.match(listed.stdout, /^2 +bob +api +- +.* UTC +never +never +bob$/m)
    t.notMatch(listed.stdout, made.stdout.trim())

    t.match(await run(t, url, 'revoke', '1'), { code: 0, stdout: /^token 1 is revoked: [^\n]*\n$/, stderr: '' })
    t.match(await run(t, url, 'revoke', '1'), { code: 1, stdout: '', stderr: /^token: there is no token 1/ })
    t.match(await run(t, url, 'revoke', '2'), { code: 0, stdout: /It was the last/ })
  })
}

void t.test('a database of cc-backend says why it has none', async t => {
  const path = join(t.testdir({}), 'job.db')
  writeJobDb(path, makeJobs(1))
  const child = start(process.execPath, [script, 'list'], { cwd: t.testdirName, env: { PATH: process.env.PATH, DATABASE_URL: `sqlite:${path}` } })
  const { code, output } = await waitFor(child)
  t.equal(code, 1)
  t.match(output, /^token: .*belongs to cc-backend, and is never changed\..*\(TDM_ERR_JOBS_NO_TOKENS\)\n$/m)
})

void t.test('what is not understood is refused before anything is opened, and it explains itself', async t => {
  const url = 'sqlite:/nowhere/at/all.db'
  const refused: Array<[args: string[], reason: RegExp]> = [
    [[], /expected create .*Usage:/s], [['make'], /Usage:/], [['create', 'x'], /Usage:/], [['create'], /expected --user/], [['create', '--user', 'a'], /expected --role.*got none/],
    [['create', '--user', 'a', '--role', 'root'], /expected --role, one of api, .*; got root/], [['create', '--user', 'a', '--role', 'api', '--expires', 'soon'], /expected --expires as 12h/],
    [['create', '--user', 'a', '--role', 'api', '--project', 'p'], /--project is for the role manager/], [['revoke'], /Usage:/], [['revoke', 'x'], /Usage:/], [['list', '--user', 'a'], /Usage:/],
    [['list', '--nonsense'], /--nonsense/]
  ]
  for (const [args, reason] of refused) t.match(await run(t, url, ...args), { code: 1, stdout: '', stderr: reason }, args.join(' '))
  t.match(await run(t, url, '--help'), { code: 0, stdout: /^Usage: npm run token -- create/, stderr: '' })
})
