/** What is done in a sandbox, requests included, is rolled back: each test begins with the same database, and none has to clean up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sandbox } from 'fastify-tandem/testing'
import { build } from '../helper.ts'

void test('visits are counted', async t => {
  const app = await build(t)
  await sandbox(app, async () => {
    await app.inject({ method: 'POST', url: '/visits/home' })
    const reply = await app.inject({ method: 'POST', url: '/visits/home' })
    assert.deepEqual(reply.json(), { page: 'home', visits: 2 })
  })
})

void test('a page that nobody has visited', async t => {
  const app = await build(t)
  await sandbox(app, async () => {
    assert.deepEqual((await app.inject('/visits/home')).json(), { page: 'home', visits: 0 })
  })
})
