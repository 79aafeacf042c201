/**
 * A project outside of this repository that has the package installed, as its users have: `import … from 'fastify-tandem'` resolves by the package's own `exports`.
 *
 * The entries lead to the sources instead of what is built from them, so that nothing has to be built. That the two are the same is for test/package.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { root } from './paths.ts'

interface Manifest { name: string, exports: Record<string, string | { default: string }> }

/** A copy of the folder `from` (a path from the root), beside the package and links to `packages`. Answers where it is; removed with the test. */
export function makeProject (t: Test, from: string, packages: readonly string[]): string {
  const scratch = mkdtempSync(join(tmpdir(), 'tandem-project-'))
  t.teardown(() => { rmSync(scratch, { recursive: true, force: true }) })
  const project = join(scratch, 'project')
  cpSync(new URL(from, root), project, { recursive: true })
  link(installSources(scratch), join(project, 'node_modules', 'fastify-tandem'))
  for (const name of packages) link(fileURLToPath(new URL(`node_modules/${name}`, root)), join(project, 'node_modules', name))
  return project
}

/** Node strips no types below node_modules, so the sources are linked to from a folder beside it. */
function installSources (scratch: string): string {
  const folder = join(scratch, 'package')
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Manifest
  const exports = Object.fromEntries(Object.entries(manifest.exports).map(([entry, target]) => [entry, typeof target === 'string' ? target : toSource(target.default)]))
  link(fileURLToPath(new URL('plugins', root)), join(folder, 'plugins'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, exports }))
  return folder
}

function toSource (built: string): string {
  return built.replace(/^\.\/dist\//, './').replace(/\.js$/, '.ts')
}

function link (target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path, 'junction')
}
