// tap reporter: one line per test file, details of failures, reasons of skips, and as the very last line "N passed, N failed".
import { Transform } from 'node:stream'
import { Parser, type Result } from 'tap-parser'

const counts = { pass: 0, fail: 0, skip: 0, todo: 0 }

export default class Reporter extends Transform {
  #parser = new Parser()
  constructor () {
    super({ decodeStrings: false })
    this.#watch(this.#parser, 0)
    this.#parser.on('comment', text => {
      if (!text.startsWith('# { total:')) { if (!/^# time=/.test(text)) this.push(text); return }
      for (const key of Object.keys(counts) as Array<keyof typeof counts>) {
        counts[key] = Number(new RegExp(`\\b${key}: (\\d+)`).exec(text)?.[1] ?? 0)
      }
    })
    this.#parser.on('bailout', reason => { this.push(`Bail out! ${reason}\n`) })
    process.once('exit', code => {
      const more = [counts.skip > 0 && `${counts.skip} skipped`, counts.todo > 0 && `${counts.todo} todo`].filter(Boolean)
      if (code !== 0 && counts.fail === 0) process.stdout.write(`exit code ${code}: coverage below the thresholds of .taprc, or a test file that did not end well\n`)
      if (more.length > 0) process.stdout.write(`${more.join(', ')}\n`)
      process.stdout.write(`${counts.pass} passed, ${counts.fail} failed\n`)
    })
  }

  #watch (parser: Parser, depth: number): void {
    parser.on('child', child => { this.#watch(child, depth + 1) })
    parser.on('assert', (r: Result) => {
      if (depth === 0) this.push(`${r.ok ? 'ok' : 'not ok'} ${r.name} ${(Number(r.time ?? 0) / 1000).toFixed(2)}s\n`)
      if (typeof r.skip === 'string' && !r.skip.startsWith('filter')) this.push(`  skipped - ${r.fullname}: ${r.skip}\n`)
      if (r.ok || r.skip !== false || r.todo !== false) return
      if (r.closingTestPoint && depth > 0) return // its own assertions were reported
      const { diag } = r as { diag?: Record<string, unknown> }
      this.push(`  not ok - ${r.fullname}${r.name === '' || r.fullname.endsWith(r.name) ? '' : ` > ${r.name}`}\n`)
      for (const key of ['at', 'exitCode', 'signal', 'timeout', 'diff', 'stack', 'found', 'wanted']) {
        const value = diag?.[key]
        if (value == null || (key === 'found' && diag?.diff != null) || (key === 'wanted' && diag?.diff != null)) continue
        const text = typeof value === 'string' ? value : JSON.stringify(value)
        this.push(`    ${key}: ${text.trimEnd().replace(/\n/g, '\n      ')}\n`)
      }
    })
  }

  override _transform (chunk: Buffer | string, _: unknown, done: () => void): void {
    this.#parser.write(String(chunk))
    done()
  }

  override _flush (done: () => void): void {
    this.#parser.end()
    done()
  }
}
