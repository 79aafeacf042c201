/**
 * Code fences of Markdown files, and what can be said of them without a reader.
 *
 *  1. ```ts and ```js with an import are programs: they run, and a server among them has to answer. ```ts no-run only has to compile.
 *  2. Other ```ts and ```js are parts of programs: their syntax is checked. 3. ```json is parsed. 4. ```sh: its npm scripts and files exist.
 *  5. With `file=name` it is a file of a project that the document builds (test/package/newcomer.test.ts builds it): its syntax is checked.
 * Anything else is text.
 */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from '../helper/paths.ts'
import { start, waitFor } from './run.ts'

export interface Fence {
  readonly document: string
  /** Of the first line inside. */
  readonly line: number
  readonly language: string
  readonly runs: boolean
  readonly code: string
  /** Of the project that the document builds. */
  readonly file?: string
  /** All files of that project. */
  readonly project: readonly string[]
}

interface Package { name: string, exports: Record<string, string | { default: string }>, scripts: Record<string, string> }

const pack = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Package
const TIME_LIMIT_MS = 30_000

/** Those of the documents that exist, as paths from the root. */
export function listDocuments (): string[] {
  const names = existsSync(new URL('docs/', root)) ? readdirSync(new URL('docs/', root), { recursive: true, encoding: 'utf8' }) : []
  return ['README.md', 'CONTRIBUTING.md', ...names.filter(name => name.endsWith('.md')).map(name => `docs/${name.replaceAll('\\', '/')}`)]
    .filter(path => existsSync(new URL(path, root)))
}

export function findFences (document: string, markdown: string): Fence[] {
  const fences = [...markdown.matchAll(/^```([\w-]*)([^\n]*)\n([\s\S]*?)^```[ \t]*$/gm)].map(match => {
    const [, language = '', flags = '', code = ''] = match
    const line = markdown.slice(0, match.index).split('\n').length + 1
    const file = /\bfile=(\S+)/.exec(flags)?.[1]
    return { document, line, language, runs: file === undefined && isProgram(language, code) && !/\bno-run\b/.test(flags), code, ...file === undefined ? {} : { file } }
  })
  const project = fences.flatMap(({ file }) => file === undefined ? [] : [file])
  return fences.map(fence => ({ ...fence, project }))
}

export function isProgram (language: string, code: string): boolean {
  return (language === 'ts' || language === 'js') && /^\s*import\b|\brequire\(/m.test(code)
}

/** What is wrong with a fence that does not run. */
export function checkFence ({ language, code, project }: Fence): string[] {
  if (language === 'sh') return checkShell(code, project)
  try {
    if (language === 'json') JSON.parse(code)
    if (language === 'ts' || language === 'js') withoutWarnings(() => stripTypeScriptTypes(code))
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/** Node calls the function that it runs this repository with experimental. */
function withoutWarnings (fn: () => unknown): void {
  const emitWarning = process.emitWarning.bind(process)
  process.emitWarning = () => {}
  try {
    fn()
  } finally {
    process.emitWarning = emitWarning
  }
}

// --- shell -----------------------------------------------------------------------------------------------------------------

const COMMANDS = new Set(['npm', 'npx', 'node', 'git', 'cd', 'cp', 'curl', 'cat', 'docker', 'export', 'psql', 'createdb', 'sqlite3', 'mkdir', 'kill', 'wrk', '.ci/run'])

/** What is wrong with the commands: an npm script, a program or a file that is not there. `project`: other files that are. */
export function checkShell (code: string, project: readonly string[] = []): string[] {
  const lines = code.replaceAll('\\\n', ' ').split('\n').map(line => line.replace(/(?:^|\s)#.*$/, '').trim())
  return lines.flatMap(line => line.split(/&&|\|\||[|;]/)).flatMap(command => checkCommand(command.trim().split(/\s+/), project))
}

function checkCommand (words: string[], project: readonly string[]): string[] {
  const [program = '', ...rest] = words.filter((word, i) => !(/^[A-Z_]+=/.test(word) && words.slice(0, i).every(before => /^[A-Z_]+=/.test(before))))
  if (program === '') return []
  if (!COMMANDS.has(program)) return [`nobody knows the command ${program}`]
  if (program === 'npm') return checkNpm(rest)
  if (program === 'npx' && !existsSync(new URL(`node_modules/.bin/${rest[0]}`, root))) return [`there is no program ${rest[0]}`]
  const inputs = program === 'cp' ? rest.slice(0, 1) : ['node', 'npx', 'cat', 'docker'].includes(program) ? rest : []
  return inputs.filter(word => isFile(word) && !project.includes(word) && !existsSync(new URL(word, root))).map(word => `there is no file ${word}`)
}

function checkNpm (words: string[]): string[] {
  const script = words[0] === 'run' ? words[1] : ['test', 'start'].includes(words[0] ?? '') ? words[0] : undefined
  if (script !== undefined && pack.scripts[script] === undefined) return [`package.json has no script ${script}`]
  return []
}

function isFile (word: string): boolean {
  return /^[\w.][\w./-]*\.(?:ts|js|json|md|ya?ml|sql|example)$/.test(word) && !word.startsWith('dist/')
}

// --- programs --------------------------------------------------------------------------------------------------------------

const folder = new URL('.tap/fences/', root)

/** Writes the programs of a document where they can be run and compiled: `fastify-tandem` means the sources, as if it were installed. */
export function writePrograms (fences: readonly Fence[]): Array<Fence & { file: string }> {
  mkdirSync(folder, { recursive: true })
  return fences.filter(({ language, code, file }) => file === undefined && isProgram(language, code)).map(fence => {
    const { document, line, language, code } = fence
    const type = language === 'ts' ? 'ts' : /\brequire\(/.test(code) ? 'cjs' : 'js'
    const file = fileURLToPath(new URL(`${basename(document, '.md')}-${line}.${type}`, folder))
    writeFileSync(file, resolveNames(code))
    return { ...fence, file }
  })
}

export function removePrograms (): void {
  rmSync(folder, { recursive: true, force: true })
}

/** `from 'fastify-tandem/db'` becomes the file from which the package's entry of that name is built. */
function resolveNames (code: string): string {
  return code.replace(new RegExp(`(['"])${pack.name}(/[\\w-]+)?\\1`, 'g'), (all, quote: string, path: string = '') => {
    const entry = pack.exports[`.${path}`]
    if (entry === undefined || typeof entry === 'string') return all
    return `${quote}${entry.default.replace(/^\.\/dist\//, '../../').replace(/\.js$/, '.ts')}${quote}`
  })
}

/** What the compiler says about all programs written, one line each. */
export async function compilePrograms (): Promise<string> {
  writeFileSync(new URL('tsconfig.json', folder), '{ "extends": "../../tsconfig.json", "compilerOptions": { "allowImportingTsExtensions": true }, "include": ["*.ts"] }')
  const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root))
  const { code, output } = await waitFor(start(process.execPath, [compiler, '--noEmit', '-p', fileURLToPath(folder)], {}))
  return code === 0 ? '' : output
}

/** Loaded before a program: a server gets a free port instead of its own, and tells it. */
export const preload = `data:text/javascript,${encodeURIComponent(`
  import { Server } from 'node:net'
  const { listen } = Server.prototype
  Server.prototype.listen = function (options, ...rest) {
    this.once('listening', () => { process.send(this.address()) })
    return listen.call(this, typeof options === 'object' ? { ...options, port: 0 } : 0, ...rest)
  }
`)}`

/** Runs a program in an empty folder until it ends, or until its server has answered. Answers with what went wrong. */
export async function runProgram ({ file, code }: { file: string, code: string }): Promise<string[]> {
  const cwd = mkdtempSync(join(tmpdir(), 'tandem-fence-'))
  const child = start(process.execPath, ['--import', preload, file], {
    cwd, env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], timeout: TIME_LIMIT_MS, killSignal: 'SIGKILL'
  })
  try {
    const ended = waitFor(child)
    const listening = once(child, 'message').then(([address]) => address as { port: number }, () => undefined)
    const address = await Promise.race([listening, ended.then(() => undefined)])
    const problems = address === undefined ? [] : await askServer(address.port, code)
    if (address !== undefined) child.kill('SIGTERM')
    const { code: exitCode, signal, output } = await ended
    if (exitCode !== 0 && (address === undefined || signal !== 'SIGTERM')) problems.push(`ended with ${exitCode ?? signal}: ${output}`)
    return problems
  } finally {
    child.kill('SIGKILL')
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** Asks for each GET route that stands in the program; a failure of the server is a problem, a 4xx is not. */
async function askServer (port: number, code: string): Promise<string[]> {
  const paths = [...code.matchAll(/\.get(?:<[^(]*>)?\(\s*'(\/[^']*)'/g)].map(match => (match[1] ?? '/').replace(/:\w+/g, '1'))
  const problems: string[] = []
  for (const path of paths.length > 0 ? paths : ['/']) {
    const { status } = await fetch(`http://127.0.0.1:${port}${path}`)
    if (status >= 500) problems.push(`GET ${path} answered ${status}`)
  }
  return problems
}
