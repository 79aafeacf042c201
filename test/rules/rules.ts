/**
 * The rules of the code that a compiler does not hold. Dependencies point one way:
 *
 *   app → services/<name>/index → services/<name>/store → plugins/db/types ← engines → driver
 *
 * A rule says in which files it holds, and what is wrong with one of them.
 */
import type { Source } from './source.ts'

export interface Rule {
  readonly name: string
  readonly appliesTo: (path: string) => boolean
  /** One text for each thing that is wrong. `all` is for what a file imports. */
  readonly check: (file: Source, all: ReadonlyMap<string, Source>) => string[]
}

const DRIVERS = ['better-sqlite3', 'pg', '@fastify/postgres']
const ENGINE = /^plugins\/db\/(?:sqlite|postgres)\//
/** Reads a file that somebody else made and that is not the app's database, on whatever engine the app runs. */
const FOREIGN_FILES = ['services/jobs/import-source.ts']
const SQL = /^\s*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|CREATE|ALTER|DROP|PRAGMA|VACUUM|ANALYZE|EXPLAIN|BEGIN|COMMIT|ROLLBACK)\s/

export const rules: readonly Rule[] = [
  {
    name: 'types.ts imports nothing',
    appliesTo: path => path === 'plugins/db/types.ts',
    check: file => file.imports.map(name => `imports ${name}`)
  },
  {
    name: 'engines know neither Fastify nor the configuration nor what stands on them',
    appliesTo: path => ENGINE.test(path),
    check: (file, all) => [
      ...reach(file, all, isFastify),
      ...reach(file, all, name => /^plugins\/(?:config|tx|ops|index)\b|^plugins\/db\/(?:index|open|database|migrate)\.ts$/.test(name))
    ]
  },
  {
    name: 'stores know neither Fastify nor routes nor engines',
    appliesTo: path => /^services\/(?:.+\/)?(?:store|tokens)\.ts$|^services\/.+\/store\//.test(path),
    check: (file, all) => [
      ...reach(file, all, isFastify),
      ...reach(file, all, name => /^services\/[^/]+\/(?:index\.ts$|routes\/)/.test(name)),
      ...reach(file, all, name => ENGINE.test(name) || DRIVERS.includes(name))
    ]
  },
  {
    name: 'plugins do not know the application',
    appliesTo: path => path.startsWith('plugins/'),
    check: file => findImports(file, name => /^(?:app\.ts|services\/|scripts\/|test\/|bench\/)/.test(name))
  },
  {
    name: 'services do not know the app around them, its scripts or its tests',
    appliesTo: path => path.startsWith('services/'),
    check: file => findImports(file, name => /^(?:app\.ts|scripts\/|test\/|bench\/)/.test(name))
  },
  {
    name: 'only the database plugin knows drivers and engines',
    appliesTo: path => isShipped(path) && !path.startsWith('plugins/db/') && !FOREIGN_FILES.includes(path),
    check: file => findImports(file, name => DRIVERS.includes(name) || ENGINE.test(name))
  },
  {
    name: 'drivers stay in the engines',
    appliesTo: path => path.startsWith('plugins/db/') && path !== 'plugins/db/index.ts' && !ENGINE.test(path),
    check: file => findImports(file, name => DRIVERS.includes(name))
  },
  {
    name: 'no SQL in routes',
    appliesTo: path => path === 'app.ts' || /^services\/[^/]+\/(?:(?:index|schema|authentication)\.ts$|routes\/)/.test(path) || path.startsWith('plugins/tx/'),
    check: file => [
      ...file.literals.filter(text => SQL.test(text)).map(text => `holds the SQL "${text.trim().slice(0, 40)}"`),
      ...findCode(file, /\b(?:db|tx)\s*\.\s*(?:prepare|exec)\s*[<(]/g)
    ]
  },
  {
    name: 'only plugins/config reads the environment',
    appliesTo: path => isShipped(path) && !path.startsWith('plugins/config/'),
    check: file => [
      ...findCode(file, /\bprocess\s*(?:\?\.\s*|\.\s*env\b|\[)|\{[^}]*\}\s*=\s*process\b/g),
      ...file.imports.filter(name => name === 'node:process' || name === 'process').flatMap(() => findCode(file, /\benv\b/g))
    ]
  },
  {
    name: 'no any',
    appliesTo: isShipped,
    check: file => findCode(file, /(?<![.\w$])any(?![\w$:(])/g)
  },
  {
    name: 'nothing blocks the event loop to wait',
    appliesTo: isShipped,
    check: file => findCode(file, /\bAtomics\s*\.\s*wait\s*\(|\b(?:exec|execFile|spawn)Sync\b/g)
  },
  {
    name: 'tests wait for what happens, and do not sleep',
    appliesTo: path => path.startsWith('test/') && path.endsWith('.test.ts'),
    check: file => [
      ...findCode(file, /\bsetTimeout\b(?=[^\n]*\bfrom\b)|\bscheduler\s*\.\s*wait\b|\bpromisify\s*\(\s*setTimeout|\bAtomics\s*\.\s*wait\s*\(/g),
      ...findCode(file, /\bsetTimeout\s*\(\s*(?:resolve|done|next|r|res|cb)\b|\bPromise\b[^\n]*=>\s*\{?\s*setTimeout\s*\(/g)
    ]
  }
]

/** What is wrong in the given files: 'path: rule: what'. */
export function findViolations (files: readonly Source[]): string[] {
  const all = new Map(files.map(file => [file.path, file]))
  return files.flatMap(file => rules.filter(rule => rule.appliesTo(file.path))
    .flatMap(rule => [...new Set(rule.check(file, all))].map(what => `${file.path}: ${rule.name}: ${what}`)))
}

/** `@fastify/error` makes errors and knows no server. */
function isFastify (name: string): boolean {
  return /^fastify(?:$|-|\/)|^@fastify\/(?!error$)/.test(name)
}

/** What is delivered or runs in production: not tests, benchmarks and scripts. */
function isShipped (path: string): boolean {
  return path === 'app.ts' || path.startsWith('plugins/') || path.startsWith('services/')
}

function findImports (file: Source, isWrong: (name: string) => boolean): string[] {
  return file.imports.filter(isWrong).map(name => `imports ${name}`)
}

/** Wrong imports of the file and of what it imports, and so on, with the way that leads there. */
function reach (file: Source, all: ReadonlyMap<string, Source>, isWrong: (name: string) => boolean): string[] {
  const found: string[] = []
  const seen = new Set([file.path])
  const queue = file.imports.map(name => ({ name, way: name }))
  for (const { name, way } of queue) {
    if (isWrong(name)) found.push(`imports ${way}`)
    if (seen.has(name)) continue
    seen.add(name)
    for (const next of all.get(name)?.imports ?? []) queue.push({ name: next, way: `${way} → ${next}` })
  }
  return found
}

function findCode (file: Source, pattern: RegExp): string[] {
  return [...file.code.matchAll(pattern)].map(match => {
    const line = file.code.slice(0, match.index).split('\n').length
    return `line ${line}: ${file.text.split('\n')[line - 1]?.trim() ?? ''}`
  })
}
