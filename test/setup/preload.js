/**
 * What each process and thread of a test run begins with. It only saves time: a test that is run alone, without it, finds the same.
 *
 *  1. TypeScript comes without its types out of .tap/types, since that Node strips them anew in each process costs a third of its start. strip-types.ts fills the
 *     folder. A file is found by a hash of its text; what is not there Node strips itself. The text is exactly what Node would make of it, so that positions and
 *     coverage are the same.
 *  2. Temporary folders are in memory, where that has room: a new database of PostgreSQL is 300 files, and on a disk making them costs twenty times as much.
 *
 * JavaScript, because it is what loads the rest.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statfsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Where the stripped texts are, with a slash at its end. Another Node may strip differently. */
export const folder = new URL(`../../.tap/types/${process.version}/`, import.meta.url)
const MEMORY = '/dev/shm'
const ROOM_BYTES = 4 * 1024 ** 3

registerHooks({
  load (url, context, next) {
    const text = findStripped(url)
    return text === undefined ? next(url, context) : { format: 'module', source: `${text}\n\n//# sourceURL=${url}`, shortCircuit: true }
  }
})

// For the programs and threads that this process starts, whatever folder they are started in.
const option = `--import=${import.meta.url}`
const options = process.env.NODE_OPTIONS ?? ''
if (!options.includes(option)) process.env.NODE_OPTIONS = `${option} ${options}`.trim()
if (process.env.TMPDIR === undefined && hasRoom()) process.env.TMPDIR = MEMORY

/**
 * @param {string} text
 * @returns {URL}
 */
export function placeOf (text) {
  return new URL(createHash('sha1').update(text).digest('hex'), folder)
}

/**
 * @param {string} url
 * @returns {string | undefined}
 */
function findStripped (url) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return undefined
  try {
    return readFileSync(placeOf(readFileSync(fileURLToPath(url), 'utf8')), 'utf8')
  } catch {
    return undefined // Node then says what is wrong, if anything is
  }
}

/** Programs are copied there and run, too. */
function hasRoom () {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    const mount = readFileSync('/proc/mounts', 'utf8').split('\n').map(line => line.split(' ')).find(([, place]) => place === MEMORY)
    return mount?.[2] === 'tmpfs' && mount[3]?.split(',').includes('noexec') === false && bavail * bsize >= ROOM_BYTES
  } catch {
    return false
  }
}
