/** The pages as the server draws them: who may see which, what a browser is told to run, and that nobody's name becomes markup. */
import t from 'tap'
import { assetHash } from '../../../services/pages/assets.ts'
import { engines } from '../../helper/db.ts'
import { startWorld, type Person } from './world.ts'

const HOSTILE = '</script><img src=x onerror=alert(1)>\'"&'
const asPage = { accept: 'text/html' }

for (const engine of engines) {
  void t.test(`the pages of the group vault, on ${engine}`, async t => {
    const world = await startWorld(t, engine)
    const ann = await world.person(HOSTILE)
    const group = await world.group(ann, '<b>"Five"</b> & co')
    const stranger = await world.person('Stranger')
    const page = async (path: string, by?: Person) => await world.ask('GET', `/${path}`, { headers: asPage, ...(by && { by }) })
    const groupPath = `/app/groups/${group.groupId}`

    t.test('have a policy that runs and styles nothing within the HTML, and others do not get it', async t => {
      for (const path of ['/', '/app', '/app/link', groupPath, `/join/${group.joinCode}`]) {
        const { status, headers, text } = await page(path, ann)
        t.equal(status, 200, path)
        const policy = String(headers['content-security-policy'])
        t.match(policy, /default-src 'none'.*script-src 'self'.*style-src 'self'.*frame-ancestors 'none'/, path)
        t.notMatch(policy, /unsafe/, path)
        t.equal(headers['cache-control'], 'private, no-cache', path)
        t.match(headers['content-type'], /^text\/html/, path)
        t.notMatch(text, /<script(?![^>]*(?:src=|application\/json))|\sstyle="|\son[a-z]+="/, `${path}: no code and no style within`)
      }
      t.equal((await page('/api/v1/groups', ann)).headers['content-security-policy'], undefined)
      t.equal((await page('/healthz')).headers['content-security-policy'], undefined)
    })

    t.test('take no name for markup', async t => {
      for (const path of ['/app', groupPath, `/join/${group.joinCode}`, `${groupPath}?q=${encodeURIComponent(HOSTILE)}&who=<img&type=<img`, `/app/link?code=${encodeURIComponent(HOSTILE)}`]) {
        const { text, status } = await page(path, ann)
        t.equal(status, 200, path)
        t.notMatch(text, /<img|<b>"Five/, path)
      }
      const { text } = await page(groupPath, ann)
      const [, json = ''] = /<script type="application\/json" id="start">(.*?)<\/script>/s.exec(text) ?? []
      t.match(JSON.parse(json), { group: { name: '<b>"Five"</b> & co' }, vault: { members: [{ displayName: HOSTILE }, { kind: 'shared' }] } }, 'the data are what they were')
    })

    t.test('send strangers to where they can sign in, and hide groups from those who are in none', async t => {
      for (const path of ['/app', '/app/link?code=BCDFGHJK', groupPath]) {
        const { status, headers } = await page(path)
        t.equal(status, 302, path)
        t.equal(headers.location, `/?returnTo=${encodeURIComponent(path)}`)
      }
      const hidden = await page(groupPath, stranger)
      t.equal(hidden.status, 404)
      t.match(hidden.text, /There is nothing here/)
      t.notMatch(hidden.text, /Five/)
      t.match(hidden.headers['content-security-policy'], /script-src 'self'/)
      t.equal((await page('/app/groups/nonsense', ann)).status, 404)
      t.equal((await page('/join/NOSUCHCODE')).status, 404)
      t.equal((await page('/static/../app.ts')).status, 404)
    })

    t.test('come back after signing in to a path of the app, and nowhere else', async t => {
      t.match((await page('/?returnTo=/join/BCDF-GHJK')).text, 'returnTo=%2Fjoin%2FBCDF-GHJK')
      for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example']) t.notMatch((await page(`/?returnTo=${encodeURIComponent(path)}`)).text, 'evil')
      t.match((await page('/?login=failed&reason=denied')).text, /You did not allow the sign-in/)
      t.match((await page(`/?login=failed&reason=${encodeURIComponent(HOSTILE)}`)).text, /The sign-in did not work/)
    })

    t.test('an invitation says to whom, and joins nobody', async t => {
      const { text } = await page(`/join/${group.joinCode.toLowerCase()}`, stranger)
      t.match(text, /1 of 5 players/)
      t.match(text, /Join as Stranger/)
      t.match((await page(`/join/${group.joinCode}`)).text, /Sign in, and you come back here/)
      t.match((await page(`/join/${group.joinCode}`, ann)).text, /You are in this group already/)
      t.equal((await page(groupPath, stranger)).status, 404)
      await world.db.prepare('UPDATE groups SET max_members = 1 WHERE id = ?').run(group.groupId)
      t.match((await page(`/join/${group.joinCode}`, stranger)).text, /The group is full/)
      await world.db.prepare('UPDATE groups SET max_members = 5 WHERE id = ?').run(group.groupId)
    })

    t.test('show the code to admins only, and what is wrong with the plan', async t => {
      const bob = await world.person('Bob')
      await world.join(bob, group)
      t.match((await page(groupPath, ann)).text, group.joinCode)
      t.notMatch((await page(groupPath, bob)).text, group.joinCode)
      await world.db.prepare('UPDATE groups SET max_members = 1 WHERE id = ?').run(group.groupId)
      t.match((await page(groupPath, bob)).text, /has 2 players, and its plan has room for 1/)
    })

    t.test('have the theme of the browser, or else of the person', async t => {
      await world.db.prepare('UPDATE users SET theme = ? WHERE id = ?').run('dark', ann.userId)
      t.match((await page('/app', ann)).text, '<html lang="en" data-theme="dark">')
      t.match((await page('/', stranger)).text, '<html lang="en" data-theme="system">')
      const { text } = await world.ask('GET', '//', { headers: { ...asPage, cookie: 'vault_theme=light' } })
      t.match(text, '<html lang="en" data-theme="light">')
      t.match((await world.ask('GET', '//', { headers: { cookie: 'vault_theme=%22%3E' } })).text, 'data-theme="system"')
    })

    t.test('a page that the database cannot fill says so, and no more', async t => {
      await world.db.prepare('ALTER TABLE catalog_active RENAME TO lost').run()
      const { status, text } = await page(groupPath, ann)
      t.equal(status, 500)
      t.match(text, /It did not work/)
      t.notMatch(text, /catalog_active/)
    })
  })
}

void t.test('files of the browser can be kept for good under their hash, and are asked for again under another', async t => {
  const world = await startWorld(t, 'sqlite')
  const { headers, status } = await world.ask('GET', `//static/${assetHash}/group.js`)
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'public, max-age=31536000, immutable')
  t.match(headers['content-type'], /javascript/)
  t.ok(headers.etag)
  t.equal((await world.ask('GET', `//static/${assetHash}/group.js`, { headers: { 'if-none-match': String(headers.etag) } })).status, 304)
  t.equal((await world.ask('GET', '//static/older/group.js')).headers['cache-control'], 'no-cache')
  for (const path of ['shared/types.d.ts', 'tsconfig.json', '..%2findex.ts', 'none.js', 'group']) t.equal((await world.ask('GET', `//static/${assetHash}/${path}`)).status, 404, path)
  t.equal((await world.ask('GET', '//demo')).status, 404, 'without a demo group')
})
