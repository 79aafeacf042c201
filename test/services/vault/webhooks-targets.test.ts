/** Where webhooks may lead: not into the network of the server, in whatever form it is written, and whatever a name stands for at the last moment. */
import type { LookupAddress } from 'node:dns'
import t from 'tap'
import { send, type SendOptions } from '../../../services/activity/send.ts'
import { findUrlProblem, hintOf, isPublic } from '../../../services/activity/targets.ts'
import { Receiver } from './outbox-world.ts'

const inProduction = { allowLoopback: false }
const forTrying = { allowLoopback: true }

/** `[]`: the name is asked for, and has these addresses. */
function named (...addresses: string[]): NonNullable<SendOptions['resolve']> {
  return async () => addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
}

async function post (url: string, options: SendOptions): Promise<unknown> {
  return await send({ url, headers: {}, body: '{}' }, options)
}

void t.test('URLs that are refused when they are given', async t => {
  const refused: Array<[url: string, why: RegExp]> = [
    ['http://example.com/hook', /not https/],
    ['ftp://example.com/hook', /not https/],
    ['file:///etc/passwd', /not https/],
    ['gopher://example.com/', /not https/],
    ['//example.com/hook', /no URL/],
    ['hook', /no URL/],
    ['https://', /no URL/],
    ['https://user:pass@example.com/hook', /name or a password/],
    ['https://user@example.com/hook', /name or a password/],
    ['https://example.com:8443/hook', /names a port/],
    ['https://example.com:80/hook', /names a port/],
    ['https://example.com@127.0.0.1/hook', /name or a password/],
    ...[
      'localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'printer', 'nas.local', 'metadata.google.internal', 'box.home.arpa',
      '127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '①②⑦.0.0.1', '0', '0.0.0.0', '10.0.0.1', '10.255.255.255', '172.16.0.1', '192.168.1.1',
      '169.254.169.254', '100.64.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1', '203.0.113.9', '224.0.0.1', '240.0.0.1', '255.255.255.255',
      '[::1]', '[::]', '[fc00::1]', '[fd12:3456::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[::ffff:10.0.0.1]', '[::ffff:a00:1]', '[::10.0.0.1]', '[64:ff9b::a00:1]', '[64:ff9b::10.0.0.1]', '[64:ff9b:1::808:808]',
      '[2002:a00:1::]', '[2001::1]', '[2001:db8::1]', '[100::1]', '[3fff::1]'
    ].map((host): [string, RegExp] => [`https://${host}/hook`, /public address/])
  ]
  for (const [url, why] of refused) t.match(findUrlProblem(url, 'generic', inProduction), why, url)
  for (const url of ['https://example.com/hook', 'https://example.com:443/hook', 'https://sub.example.co.uk./h?x=1', 'https://8.8.8.8/', 'https://[2001:4860:4860::8888]/', 'https://[64:ff9b::808:808]/', 'https://[::ffff:8.8.8.8]/']) {
    t.equal(findUrlProblem(url, 'generic', inProduction), undefined, url)
  }
})

void t.test('Discord is Discord only', async t => {
  t.equal(findUrlProblem('https://discord.com/api/webhooks/1/abc', 'discord', inProduction), undefined)
  t.equal(findUrlProblem('https://discordapp.com/api/webhooks/1/abc?thread_id=2', 'discord', inProduction), undefined)
  for (const url of [
    'https://discord.com/api/users/@me', 'https://discord.com/api/webhooks/1', 'https://discord.com.example.com/api/webhooks/1/abc', 'https://example.com/api/webhooks/1/abc', 'https://discord.com/api/webhooks/../users/1/a',
    'http://discord.com/api/webhooks/1/abc', 'https://127.0.0.1/api/webhooks/1/abc'
  ]) t.ok(findUrlProblem(url, 'discord', inProduction), url)
})

void t.test('this machine, by http, only for trying', async t => {
  for (const url of ['http://127.0.0.1:4000/hook', 'http://localhost:4000/hook', 'http://[::1]:4000/hook']) {
    t.equal(findUrlProblem(url, 'generic', forTrying), undefined, url)
    t.ok(findUrlProblem(url, 'generic', inProduction), url)
    await t.rejects(post(url, inProduction), /address is not allowed/, url)
  }
  for (const url of ['http://10.0.0.1/hook', 'http://169.254.169.254/latest', 'http://example.com/', 'https://10.0.0.1/']) {
    t.ok(findUrlProblem(url, 'generic', forTrying), url)
    await t.rejects(post(url, forTrying), /address is not allowed/, url)
  }
  const receiver = await new Receiver().start(t)
  t.match(await post(receiver.url, forTrying), { status: 200 })
  t.match(await post(receiver.url.replace('127.0.0.1', 'localhost'), { ...forTrying, resolve: named('127.0.0.1') }), { status: 200 })
  await t.rejects(post(receiver.url.replace('127.0.0.1', 'localhost'), { ...forTrying, resolve: named('127.0.0.1', '10.0.0.1') }), /address is not allowed/)
  t.equal(receiver.received.length, 2)
})

void t.test('addresses that are refused when they are connected to', async t => {
  for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '0.0.0.0', '::1', 'fc00::1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '64:ff9b::a9fe:a9fe', 'fe80::1']) {
    t.notOk(isPublic(address), address)
    await t.rejects(post('https://hooks.example.com/', { ...inProduction, resolve: named(address) }), /address is not allowed/, `a name for ${address}`)
    await t.rejects(post('https://hooks.example.com/', { ...inProduction, resolve: named('8.8.8.8', address) }), /address is not allowed/, `a name for ${address}, too`)
    await t.rejects(post('https://hooks.example.com/', { ...forTrying, resolve: named(address) }), /address is not allowed/, 'also when this machine is allowed')
    await t.rejects(post(`https://${address.includes(':') ? `[${address}]` : address}/`, inProduction), /address is not allowed/, 'for which nobody asks a name')
  }
  await t.rejects(post('https://hooks.example.com/', { ...inProduction, resolve: named() }), /address is not allowed/, 'a name for nothing')
  t.notOk(isPublic('nonsense'))
})

void t.test('a name that was public is judged anew with each connection', async t => {
  const answers = ['8.8.8.8', '10.0.0.1']
  const asked: string[] = []
  const abort = new AbortController()
  const resolve = async (hostname: string): Promise<LookupAddress[]> => {
    const address = answers[asked.length] ?? ''
    asked.push(`${hostname} ${address}`)
    if (address === '8.8.8.8') setImmediate(() => { abort.abort() }) // it would be connected to
    return [{ address, family: 4 }]
  }
  await t.rejects(post('https://rebind.example.com/', { ...inProduction, resolve, signal: abort.signal }), /broken off|connection|request failed/)
  await t.rejects(post('https://rebind.example.com/', { ...inProduction, resolve }), /address is not allowed/)
  t.strictSame(asked, ['rebind.example.com 8.8.8.8', 'rebind.example.com 10.0.0.1'])
})

void t.test('what is told of a failure names no URL', async t => {
  const noReceiver = 'http://127.0.0.1:1/secret-path'
  const error: unknown = await post(noReceiver, forTrying).catch((error: unknown) => error)
  t.equal((error as Error).message, 'the connection was refused')
  const unknown: unknown = await post('https://hooks.example.com/secret-path', { ...inProduction, resolve: async () => { throw Object.assign(new Error('getaddrinfo ENOTFOUND hooks.example.com'), { code: 'ENOTFOUND' }) } }).catch((error: unknown) => error)
  t.equal((unknown as Error).message, 'the name is not known')
  t.equal(hintOf('https://discord.com/api/webhooks/1/abcdefgh'), 'discord.com/…efgh')
})
