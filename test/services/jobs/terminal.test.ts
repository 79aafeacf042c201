// Progress on a terminal and elsewhere (scripts/terminal.ts, which the import uses).
import t from 'tap'
import { formatCount, formatSeconds, formatTable, Progress, progressLine } from '../../../scripts/terminal.ts'

function collect (isTTY: boolean, columns = 200) {
  const written: string[] = []
  return { isTTY, columns, written, write: (text: string) => written.push(text) }
}

void t.test('on a terminal one line is drawn over and over, at most ten times a second', async t => {
  let now = 0
  const stream = collect(true)
  const progress = new Progress({ unit: 'rows', stream, clock: () => now })
  for (; now <= 1000; now += 10) progress.update(now, 2000, 'job')
  t.ok(stream.written.length <= 11 && stream.written.length >= 10, String(stream.written.length))
  t.ok(stream.written.every(text => text.startsWith('\r') && !text.includes('\n')))
  t.match(stream.written.at(-1), /50% {2}1,000 of 2,000 rows {2}1,000 rows\/s {2}1s left {2}job/)
  progress.clear()
  t.equal(stream.written.at(-1), '\r\u001B[K')
  const drawn = stream.written.length
  progress.clear()
  t.equal(stream.written.length, drawn, 'nothing is left to clear')
})

void t.test('elsewhere it is a line every five seconds', async t => {
  let now = 0
  const stream = collect(false)
  const progress = new Progress({ unit: 'rows', stream, clock: () => now })
  for (; now <= 12_000; now += 100) progress.update(now, 24_000)
  t.equal(stream.written.length, 2)
  t.ok(stream.written.every(text => text.endsWith('\n') && !text.includes('\r') && !text.includes('\u001B')))
  progress.clear()
  t.equal(stream.written.length, 2)
})

void t.test('the rate and the time left are those of the last seconds, not of the start', async t => {
  let now = 0
  const stream = collect(true)
  const progress = new Progress({ unit: 'rows', stream, clock: () => now })
  for (let done = 0; now < 60_000; now += 1000) progress.update(done += now < 30_000 ? 1000 : 10, 31_000)
  t.match(stream.written.at(-1), / 10 rows\/s/)
})

void t.test('what begins anew has a rate of its own', async t => {
  let now = 0
  const stream = collect(true)
  const progress = new Progress({ unit: 'groups', stream, clock: () => now })
  for (; now <= 5000; now += 1000) progress.update(now, 5000, 'filling')
  for (let done = 0; done < 20; now += 1000) progress.update(done += 10, 200, 'comparing')
  t.match(stream.written.at(-1), /20 of 200 groups {2}10 groups\/s {2}18s left {2}comparing/)
})

void t.test('a line is never longer than the terminal is wide', async t => {
  const stream = collect(true, 40)
  new Progress({ unit: 'rows', stream, clock: () => 0 }).update(1, 2, 'a long label')
  t.equal(stream.written[0]?.replace('\r', '').replace('\u001B[K', '').length, 39)
})

void t.test('numbers are written for people', async t => {
  t.equal(formatCount(1234567), '1,234,567')
  t.same([0, 0.2, 59, 60, 3599, 3600, 7500].map(formatSeconds), ['0s', '1s', '59s', '1min 0s', '59min 59s', '1h 0min', '2h 5min'])
  t.equal(formatTable([['a', 'rows'], ['name', '7']]), 'a     rows\nname     7')
  t.match(progressLine({ done: 0, total: 0, label: '', unit: 'rows', rate: 0 }), /100% {2}0 of 0 rows {2}0 rows\/s$/)
})
