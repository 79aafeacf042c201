/**
 * What has ended leaves nothing behind: no request, transaction or statement lives until the next full collection. A Set that lives long does that to its members, an AsyncResource to what it
 * holds, an object literal with an accessor to what that refers to. Then each scavenge takes ten times as long, and the slowest requests wait for it.
 */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { engines, freshUrl } from '../helper/db.ts'
import { root } from '../helper/paths.ts'
import { run } from '../rules/run.ts'

/** Of some 20,000 that a request takes in all. */
const MOST_BYTES = 600
/** V8 may choose, now and then, to make literals in the old generation, and what they refer to follows them there. */
const V8_OPTION = '--no-allocation-site-pretenuring'

for (const engine of engines) {
  void t.test(`${engine}: what has ended leaves nothing behind`, async t => {
    const program = fileURLToPath(new URL('./garbage-program.ts', import.meta.url))
    const left = JSON.parse(await run(fileURLToPath(root), process.execPath, V8_OPTION, program, await freshUrl(t, engine))) as Record<string, number>
    t.equal(Object.keys(left).length, 6)
    for (const [what, bytes] of Object.entries(left)) t.ok(bytes < MOST_BYTES, `${what}: ${Math.round(bytes)} bytes`)
  })
}
