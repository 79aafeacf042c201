/** What server and browser share: quantities, ages, addresses, escaping, and the pictures of items. */
import t from 'tap'
import { cell } from '../../../services/pages/static/shared/cells.js'
import { ageOf, agoOf, fullAmount, fullTime, shortAmount, shortQuantity, tinyQuantity } from '../../../services/pages/static/shared/format.js'
import { dataBlock, html } from '../../../services/pages/static/shared/html.js'
import { readQuery, writeQuery } from '../../../services/pages/static/shared/query.js'
import { GLYPHS, glyphOf, HUES, hueOf, lettersOf } from '../../../services/pages/static/shared/tile.js'
import { glyphSheet } from '../../../services/pages/views/icons.ts'

t.test('quantities are cut as on the stacks of the game, and never rounded up', async t => {
  const cases: Array<[number, string]> = [[0, '0'], [1, '1'], [99_999, '99,999'], [100_000, '100K'], [199_999, '199K'], [9_999_999, '9999K'], [10_000_000, '10M'], [999_999_999, '999M'], [1_000_000_000, '1B'], [2_147_483_647, '2B']]
  for (const [quantity, text] of cases) t.equal(shortQuantity(quantity), text)
  t.strictSame([999, 1000, 99_999, 100_000].map(tinyQuantity), ['999', '1K', '99K', '100K'])
})

t.test('values beyond what a number holds are exact', async t => {
  t.equal(fullAmount('9007199254740993123'), '9,007,199,254,740,993,123')
  const cases: Array<[string, string]> = [['0', '0'], ['999', '999'], ['1000', '1K'], ['12345', '12.3K'], ['1249999', '1.24M'], ['1999999999', '1.99B'], ['123456789012345678', '123456T'], ['100000', '100K']]
  for (const [value, text] of cases) t.equal(shortAmount(value), text)
})

t.test('ages are said as people would', async t => {
  const now = Date.parse('2026-01-31T12:00:00Z')
  const before = (minutes: number): string => new Date(now - minutes * 60_000).toISOString()
  t.strictSame([0.5, 5, 59, 60, 60 * 47, 60 * 48].map(minutes => ageOf(before(minutes), now)), ['just now', '5 min', '59 min', '1 h', '47 h', '2 d'])
  t.strictSame([agoOf(null, now), agoOf(before(0), now), agoOf(before(5), now)], ['never', 'just now', '5 min ago'])
  t.equal(fullTime('2026-01-31T12:34:56.789Z'), '31 Jan 2026, 12:34 UTC')
})

t.test('an address says what is shown, and nothing else is believed', async t => {
  const member = 'mem_019f0000-0000-7000-8000-000000000000'
  const address = `?q=rune%7Cbolt&sort=ge&layout=list&member=${member}&item=4151`
  const query = readQuery(new URLSearchParams(address))
  t.match(query, { q: 'rune|bolt', sort: 'ge', layout: 'list', members: [member], item: 4151, view: 'vault' })
  t.strictSame(readQuery(new URLSearchParams(writeQuery(query))), query)
  t.equal(writeQuery(readQuery(new URLSearchParams('?sort=__proto__&view=toString&item=-1&member=x&price=?&utm_source=y'))), '?')
})

t.test('only what html made is HTML', async t => {
  t.equal(html`<b title="${'"\'<>&'}">${['<i>', html`<i>`, null, undefined, false, 0, 7n]}</b>`.text, '<b title="&quot;&#39;&lt;&gt;&amp;">&lt;i&gt;<i>07</b>')
  t.equal(dataBlock('x', { a: '</script><!--' }).text, '<script type="application/json" id="x">{"a":"\\u003c/script>\\u003c!--"}</script>')
})

t.test('items have a hue and a sign, or letters', async t => {
  const hues = new Set(Array.from({ length: 1000 }, (_, id) => hueOf(id)))
  t.equal(hues.size, HUES)
  t.ok([...hues].every(hue => hue >= 0 && hue < HUES))
  const signs: Array<[string, string | undefined]> = [['Abyssal whip', 'sword'], ['Prayer potion(4)', 'potion'], ['Nature rune', 'rune'], ['Rune platebody', 'body'], ['Yew logs', 'log'], ['Item #7', undefined], ['Spade', undefined]]
  for (const [name, sign] of signs) t.equal(glyphOf(name), sign, name)
  for (const glyph of GLYPHS) t.match(glyphSheet.text, `id="g-${glyph}"`)
  t.strictSame(['Spade', 'Item #7', 'Old school bond', 'x', '', '(4)'].map(lettersOf), ['Sp', 'I#', 'Os', 'X', '?', '?'])
})

t.test('a cell says who has how much, also to who cannot see it', async t => {
  const member = (memberId: string, displayName: string, color: number) => ({ memberId, displayName, color, kind: 'player' as const, lastSyncAt: null, stale: false })
  const item = { itemId: 2434, name: '<Prayer>', unit: 'dose' as const, quantity: 3_000_000_000, perMember: { a: 2_999_999_999, b: 1, gone: 5 }, alchEach: null, geEach: '9000000000', approximate: true }
  const { text } = cell(item, { members: [member('a', 'A&B', 0), member('b', 'Ben', 6), member('c', 'Cleo', 2)], query: readQuery(new URLSearchParams('?q=x')) })
  t.match(text, '<span class="unseen">&lt;Prayer&gt;, about 3,000,000,000 doses. A&amp;B 2,999,999,999, Ben 1</span>')
  t.match(text, '>~3B</b>')
  t.match(text, 'id="i-2434-dose"')
  t.match(text, 'href="?q=x&amp;item=2434"')
  t.match(text, '>27000000T</span>')
  t.match(text, /<rect class="m0" x="0\.0" width="100\.0"[^>]*><rect class="m1"/)
})
