// Sizes, durations and whole numbers: every form, and what is refused with what to write instead.
import fc from 'fast-check'
import t from 'tap'
import { formatBytes, formatDuration, parseCacheSize, parseDuration, parseInteger, parseSize, parseWord, type Parsed } from '../../plugins/config/limits.ts'

const memory = 8e9

function value<T> (parsed: Parsed<T>): T | 'refused' {
  return parsed.ok ? parsed.value : 'refused'
}

function refusal (parsed: Parsed<unknown>): string {
  return parsed.ok ? 'accepted' : `${parsed.expected}; ${parsed.instead}`
}

t.test('a size has decimal and binary units, shares of the memory, and a bare number counts bytes', async t => {
  const sizes: Record<string, number> = {
    '200MB': 200e6,
    '200 MB': 200e6,
    '200mb': 200e6,
    '2GiB': 2 * 1024 ** 3,
    '512KiB': 512 * 1024,
    '1.5GiB': 1.5 * 1024 ** 3,
    '3TiB': 3 * 1024 ** 4,
    '1TB': 1e12,
    '64kB': 64_000,
    '100B': 100,
    '25%': 2e9,
    '0.5%': 40e6,
    '100%': 8e9,
    268435456: 268435456
  }
  for (const [text, bytes] of Object.entries(sizes)) t.equal(value(parseSize(text, memory)), bytes, text)
})

t.test('a size that has two meanings or none is refused', async t => {
  for (const text of ['200M', '2g', '', 'much', '-5', '-16000', '1,5GB', '1e9', '200MBit', '5 pages', '101%', '-1%', '9'.repeat(400), '9999999999TB', '0x10']) {
    t.equal(value(parseSize(text, memory)), 'refused', text)
  }
  t.match(refusal(parseSize('200M', memory)), '200MB (decimal) or 200MiB (binary)')
  t.match(refusal(parseSize('200Mbit', memory)), 'one of the units')
  t.match(refusal(parseSize('150%', memory)), '100% or less')
})

t.test('a cache size is a size or SQLite\'s negative number of KiB', async t => {
  t.equal(value(parseCacheSize('-16000', memory)), 16000 * 1024)
  t.equal(value(parseCacheSize('16MB', memory)), 16e6)
  t.equal(value(parseCacheSize('1%', memory)), 80e6)
  t.equal(value(parseCacheSize('0', memory)), 0, 'is for the minimum to refuse')
  t.equal(value(parseCacheSize('-1.5', memory)), 'refused')
  t.match(refusal(parseCacheSize('much', memory)), '-16000 for 16000 KiB')
})

t.test('a bare page count is refused with what it means and what to write', async t => {
  const text = refusal(parseCacheSize('1000000000', memory))
  t.match(text, 'counts pages')
  t.match(text, '4.1TB for each connection')
  t.match(text, '16MB (the default)')
  t.match(text, '1000000000B')
  t.match(text, '-1000000000')
  t.equal(value(parseCacheSize('2000', memory)), 'refused')
  t.notMatch(refusal(parseCacheSize('9'.repeat(30), memory)), '99999999999999999999B', 'and no nonsense for a number that is too long')
})

t.test('a duration has a unit, or counts milliseconds', async t => {
  const durations: Record<string, number> = { '250ms': 250, '30s': 30_000, '10min': 600_000, '1h': 3_600_000, '1.5s': 1500, '10 min': 600_000, 250: 250, 0: 0 }
  for (const [text, ms] of Object.entries(durations)) t.equal(value(parseDuration(text)), ms, text)
})

t.test('a duration that has two meanings or none is refused', async t => {
  for (const text of ['10m', '1d', '-5s', '', 'soon', '1,5s', '5%']) t.equal(value(parseDuration(text)), 'refused', text)
  t.match(refusal(parseDuration('10m')), '10min (minutes) or 10ms (milliseconds)')
})

t.test('a whole number has digits only', async t => {
  t.equal(value(parseInteger('12')), 12)
  for (const text of ['', '1.5', '-1', '1e3', 'ten', '9'.repeat(20)]) t.equal(value(parseInteger(text)), 'refused', text)
})

t.test('a word is read in any case', async t => {
  t.equal(value(parseWord('ON', ['on', 'off'])), 'on')
  t.match(refusal(parseWord('yes', ['on', 'off'])), 'on or off')
})

t.test('sizes and durations are written as they could be read', async t => {
  t.equal(formatBytes(16e6), '16MB')
  t.equal(formatBytes(2 * 1024 ** 3), '2GiB')
  t.equal(formatBytes(16384000), '16.4MB')
  t.equal(formatBytes(4.096e12), '4.1TB')
  t.equal(formatBytes(123_456_789_012), '123GB')
  t.equal(formatBytes(12_345), '12.3kB')
  t.equal(formatBytes(0), '0B')
  t.equal(formatBytes(Infinity), 'none')
  t.equal(formatDuration(60_000), '60s')
  t.equal(formatDuration(600_000), '10min')
  t.equal(formatDuration(3_600_000), '1h')
  t.equal(formatDuration(1500), '1500ms')
  t.equal(formatDuration(Infinity), 'none')
})

t.test('what is written rounded down is no more, rounded up no less, and always readable', async t => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 8e15 }), bytes => {
    const [down, up] = [value(parseSize(formatBytes(bytes, 'down'), memory)), value(parseSize(formatBytes(bytes, 'up'), memory))]
    return typeof down === 'number' && typeof up === 'number' && down <= bytes && up >= bytes && up - down <= Math.max(1, bytes / 50)
  }))
  t.pass()
})
