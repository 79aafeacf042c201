/**
 * Builds and starts an image of a Dockerfile without Docker: COPY and RUN are done in a folder for each stage, which stands for the root of its file system.
 *
 * What is as in Docker: the order, the sources that .dockerignore lets through, what a stage gets from another, ENV, WORKDIR, the user of the last stage if we are root.
 * What is not: base images are empty, and programs are those of this machine (node is a copy of ours). Paths in RUN, ENV and CMD that begin with a folder of the image
 * lead into the folder of the stage. The user `node` is `USER_ID`; without being root everything is done as whoever we are.
 */
import { chmodSync, chownSync, constants, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { root } from '../helper/paths.ts'
import { start, waitFor, type Ended } from '../rules/run.ts'
import { findLast, isIgnored, parseDockerfile, readEnvironment, type Instruction, type Stage } from './dockerfile.ts'

export const USER_ID = 1000
export const isRoot = process.getuid?.() === 0

/** Of the environment only what npm needs to find its cache and its registry. */
const npmEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(?:path|home|https?_proxy|no_proxy|node_extra_ca_certs|npm_config_(?:registry|cache|userconfig|cafile))$/i.test(name)))

const context = fileURLToPath(root)
const dockerignore = readFileSync(new URL('.dockerignore', root), 'utf8')

export class Image {
  readonly #stage: Stage
  readonly #folder: string

  private constructor (stage: Stage, folder: string) {
    this.#stage = stage
    this.#folder = folder
  }

  /** The last stage. Removed with the test. */
  static async build (t: Test, dockerfile: string): Promise<Image> {
    const scratch = mkdtempSync(join(tmpdir(), 'tandem-image-'))
    chmodSync(scratch, 0o755)
    t.teardown(() => { rmSync(scratch, { recursive: true, force: true }) })
    const stages = parseDockerfile(dockerfile)
    for (const stage of stages) await new Builder(scratch, stage, stages).build()
    const last = stages.at(-1)
    if (last === undefined) throw new Error('there is no FROM')
    const image = new Image(last, join(scratch, last.name))
    mkdirSync(dirname(image.path('/usr/local/bin/node')), { recursive: true })
    copyFileSync(process.execPath, image.path('/usr/local/bin/node'), constants.COPYFILE_FICLONE)
    return image
  }

  /** Where a path of the image is here. */
  path (path: string): string {
    return join(this.#folder, path)
  }

  /** The files below `folder`, as paths of the image, without those below `except`. */
  listFiles (folder: string, except: string): string[] {
    const entries = readdirSync(this.path(folder)).filter(name => name !== except).map(name => this.path(join(folder, name)))
    return entries.flatMap(path => statSync(path).isDirectory() ? listFiles(path) : [path]).map(path => `/${relative(this.#folder, path)}`)
  }

  /** Starts CMD, or another command, as the user of the image. */
  run (environment: Record<string, string>, words = findLast(this.#stage, 'CMD')?.words ?? []): ReturnType<typeof start> {
    const [program = '', ...parameters] = words
    const env = { ...mapValues(readEnvironment(this.#stage), value => mapPaths(value, this.#folder)), PATH: `${this.path('/usr/local/bin')}:/usr/bin:/bin`, ...environment }
    return start(program, parameters, { cwd: this.path('/app'), env, ...isRoot ? { uid: USER_ID, gid: USER_ID } : {} })
  }

  /** Runs the command of HEALTHCHECK. */
  async checkHealth (environment: Record<string, string>): Promise<Ended> {
    return await waitFor(this.run(environment, findLast(this.#stage, 'HEALTHCHECK')?.words))
  }
}

class Builder {
  readonly #scratch: string
  readonly #stage: Stage
  readonly #folder: string
  #cwd = '/'

  constructor (scratch: string, stage: Stage, stages: readonly Stage[]) {
    this.#scratch = scratch
    this.#stage = stage
    this.#folder = join(scratch, stage.name)
    mkdirSync(this.#folder)
    const base = stages.find(({ name }) => name === stage.from)
    if (base === undefined) return
    cpSync(join(scratch, base.name), this.#folder, { recursive: true, verbatimSymlinks: true })
    this.#cwd = findLast(base, 'WORKDIR')?.text ?? '/'
  }

  async build (): Promise<void> {
    for (const instruction of this.#stage.instructions) {
      if (instruction.name === 'WORKDIR') this.#workIn(instruction.text)
      if (instruction.name === 'COPY') this.#copy(instruction)
      if (instruction.name === 'RUN') await this.#run(instruction.text)
    }
  }

  #workIn (folder: string): void {
    this.#cwd = folder
    mkdirSync(join(this.#folder, folder), { recursive: true })
  }

  #copy ({ flags, words }: Instruction): void {
    const target = words.at(-1) ?? ''
    const folder = join(this.#folder, target.startsWith('/') ? target : join(this.#cwd, target))
    for (const source of words.slice(0, -1)) {
      const from = flags.from === undefined ? findInContext(source) : join(this.#scratch, flags.from, source)
      const to = statSync(from).isDirectory() || !target.endsWith('/') ? folder : join(folder, basename(from))
      const filter = flags.from === undefined ? { filter: (path: string) => !isIgnored(dockerignore, relative(context, path)) } : {}
      cpSync(from, to, { recursive: true, verbatimSymlinks: true, ...filter })
      if (flags.chown === 'node:node' && isRoot) giveAway(to)
    }
  }

  async #run (text: string): Promise<void> {
    const owner = isRoot ? text.replace(/\s-([og]) node\b/g, ` -$1 ${USER_ID}`) : text.replace(/\s-[og] node\b/g, '')
    const env = { ...npmEnvironment, npm_config_prefer_offline: 'true' }
    const { code, output } = await waitFor(start('sh', ['-e', '-c', mapPaths(owner, this.#folder)], { cwd: join(this.#folder, this.#cwd), env }))
    if (code !== 0) throw new Error(`RUN ${text} ended with ${code}:\n${output}`)
  }
}

function findInContext (source: string): string {
  if (isIgnored(dockerignore, source.replace(/\/$/, ''))) throw new Error(`COPY ${source}: .dockerignore leaves it out`)
  const path = join(context, source)
  if (!existsSync(path)) throw new Error(`COPY ${source}: there is no such file`)
  return path
}

function giveAway (path: string): void {
  const files = statSync(path).isDirectory() ? listFiles(path) : []
  for (const file of [path, ...files]) chownSync(file, USER_ID, USER_ID)
}

/** Folders too; links are left out. */
function listFiles (folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() || entry.isDirectory()).map(entry => join(entry.parentPath, entry.name))
}

/** `/data/app.db`, also as `sqlite:/data/app.db`. */
function mapPaths (text: string, folder: string): string {
  return text.replace(/(?<=^|[\s:=])\/(?=(?:app|data|manifest)(?:\/|\s|$))/g, `${folder}/`)
}

function mapValues (values: Record<string, string>, map: (value: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]))
}
