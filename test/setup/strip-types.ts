/** Fills the folder that preload.js reads: all TypeScript of the repository, without its types. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { root } from '../helper/paths.ts'
import { folder, placeOf } from './preload.js'

const FOLDERS = ['plugins', 'services', 'scripts', 'bench', 'examples', 'test']

/** Strips what is new, and removes what is no more. A name with a dot is a text that a run beside this one is about to write. */
export function stripTypes (): void {
  process.removeAllListeners('warning') // stripTypeScriptTypes is experimental, which everybody would be told
  mkdirSync(folder, { recursive: true })
  const kept = new Set(listSources().map(stripOne))
  for (const name of readdirSync(folder)) if (!kept.has(name) && !name.includes('.')) rmSync(new URL(name, folder), { force: true })
}

function listSources (): URL[] {
  const below = FOLDERS.filter(name => existsSync(new URL(name, root)))
    .flatMap(name => readdirSync(new URL(name, root), { recursive: true, encoding: 'utf8' }).map(path => `${name}/${path}`))
  return [...readdirSync(root), ...below].filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts') && !path.includes('node_modules')).map(path => new URL(path, root))
}

/** Answers the name of the stripped text. */
function stripOne (source: URL): string {
  const text = readFileSync(source, 'utf8')
  const place = placeOf(text)
  if (!existsSync(place)) {
    const unfinished = new URL(`${place.href}.${process.pid}`)
    writeFileSync(unfinished, stripTypeScriptTypes(text))
    renameSync(unfinished, place)
  }
  return place.href.slice(folder.href.length)
}
