/** The documents say what the code does: error codes, code fences, links. */
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { checkFence, checkShell, compilePrograms, findFences, listDocuments, removePrograms, runProgram, writePrograms } from './fences.ts'
import { readSources } from './source.ts'

const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const documents = listDocuments()

// --- errors ----------------------------------------------------------------------------------------------------------------

interface Row { code: string, status: number, when: string, advice: string }

/** The rows of all tables with the columns Code, HTTP, When, What to do. */
function findRows (markdown: string): Row[] {
  return [...markdown.matchAll(/^\| `(TDM_ERR_[A-Z_]+)` \| (\d{3}) \| (.*?) \| (.*?) \|$/gm)]
    .map(([, code = '', status = '', when = '', advice = '']) => ({ code, status: Number(status), when, advice }))
}

/** Code and status of every error class that the files of errors export. */
async function definedErrors (): Promise<Array<Pick<Row, 'code' | 'status'>>> {
  const paths = readSources('plugins', 'services').map(file => file.path).filter(path => posix.basename(path) === 'errors.ts')
  const modules = await Promise.all(paths.map(async path => await import(new URL(path, root).href) as Record<string, unknown>))
  return modules.flatMap(module => Object.values(module)).filter(isErrorClass).map(ErrorClass => {
    const { code, statusCode } = new ErrorClass()
    return { code, status: statusCode }
  })
}

function isErrorClass (value: unknown): value is new () => { code: string, statusCode: number } {
  return typeof value === 'function' && value.prototype instanceof Error
}

t.test('docs/errors.md has every code with its status, once, and no other', async t => {
  const rows = findRows(read('docs/errors.md'))
  const byCode = (a: { code: string }, b: { code: string }): number => a.code < b.code ? -1 : 1
  t.strictSame(rows.map(({ code, status }) => ({ code, status })).sort(byCode), (await definedErrors()).sort(byCode))
  t.strictSame(rows.filter(({ when, advice }) => when.length < 5 || advice.length < 5), [], 'each says when it is thrown and what to do')
  t.equal(rows.length, read('docs/errors.md').match(/^\| `TDM/gm)?.length, 'each row has the four columns')
})

t.test('codes are named in files of errors only, and every code that is mentioned exists', async t => {
  const defined = new Set((await definedErrors()).map(({ code }) => code))
  for (const file of readSources('plugins', 'services')) {
    const mentioned = [...file.text.matchAll(/TDM_ERR_[A-Z_]*[A-Z]/g)].map(([code]) => code)
    t.strictSame(mentioned.filter(code => !defined.has(code)), [], file.path)
  }
  for (const path of documents) {
    const mentioned = [...read(path).matchAll(/TDM_ERR_[A-Z_]*[A-Z]/g)].map(([code]) => code)
    t.strictSame(mentioned.filter(code => !defined.has(code)), [], path)
  }
})

// --- code fences -------------------------------------------------------------------------------------------------------------

t.test('code fences run, compile, parse, and name what exists', { timeout: 110_000 }, async t => {
  t.teardown(removePrograms)
  const fences = documents.flatMap(path => findFences(path, read(path)))
  t.ok(fences.length > 0, 'there are some')
  for (const fence of fences.filter(fence => !fence.runs)) t.strictSame(checkFence(fence), [], `${fence.document}:${fence.line}`)
  const programs = writePrograms(fences)
  t.equal(await compilePrograms(), '')
  for (const program of programs.filter(program => program.runs)) t.strictSame(await runProgram(program), [], `${program.document}:${program.line}`)
})

t.test('a wrong fence is found', async t => {
  const check = (markdown: string): string[] => findFences('x.md', markdown).flatMap(checkFence)
  t.match(check('```json\n{ a: 1 }\n```\n'), [/JSON/])
  t.equal(check('```ts\nconst = 1\n```\n').length, 1)
  t.strictSame(check('```\nconst = 1\n```\n\n```ts\nconst x: number = await f()\n```\n\n```json\n{ "a": 1 }\n```\n'), [])
  t.strictSame(checkShell('npm run nothing'), ['package.json has no script nothing'])
  t.strictSame(checkShell('PORT=1 node scripts/nothing.ts --x | cat'), ['there is no file scripts/nothing.ts'])
  t.strictSame(checkShell('npm ci && npx nothing # a comment'), ['there is no program nothing'])
  t.strictSame(checkShell('rm -rf /'), ['nobody knows the command rm'])
  t.strictSame(checkShell('git clone x && cd x\nnpm ci\nDATABASE_URL=postgres://x npm test # both\ncp package.json \\\n  somewhere.json'), [])
})

t.test('a program that fails is found, and one whose server answers ends', async t => {
  t.teardown(removePrograms)
  const markdown = (code: string): string => `\`\`\`js\nimport { createServer } from 'node:http'\n${code}\n\`\`\`\n`
  const serve = 'createServer((request, reply) => { reply.statusCode = STATUS; reply.end() }).listen(80)\n// app.get(\'/x/:id\')'
  const cases: Array<[code: string, problem: RegExp | undefined]> = [
    ['createServer()', undefined],
    ['throw new Error(\'this one fails\')', /this one fails/],
    [serve.replace('STATUS', '404'), undefined],
    [serve.replace('STATUS', '500'), /GET \/x\/1 answered 500/]
  ]
  for (const [code, problem] of cases) {
    const [program] = writePrograms(findFences('example.md', markdown(code)))
    if (program === undefined) throw new Error('it is a program')
    const problems = await runProgram(program)
    if (problem === undefined) t.strictSame(problems, [], code)
    else t.match(problems.join('\n'), problem, code)
  }
})

t.test('a program that does not compile is found', async t => {
  t.teardown(removePrograms)
  const markdown = '```ts no-run\nimport { readFileSync } from \'node:fs\'\nexport const text: number = readFileSync(0, \'utf8\')\n```\n'
  const fences = findFences('example.md', markdown)
  t.strictSame(fences.map(({ line, runs }) => ({ line, runs })), [{ line: 2, runs: false }])
  t.equal(writePrograms(fences).length, 1)
  t.match(await compilePrograms(), /example-2\.ts.*Type 'string' is not assignable to type 'number'/)
})

// --- links -------------------------------------------------------------------------------------------------------------------

t.test('links between the documents lead somewhere', async t => {
  for (const path of documents) {
    const targets = [...read(path).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(match => posix.join(posix.dirname(path), match[1] ?? ''))
    t.strictSame(targets.filter(target => !existsSync(new URL(target, root))), [], path)
  }
})

t.test('docs/README.md leads to every document', async t => {
  const index = read('docs/README.md')
  t.strictSame(documents.filter(path => path.startsWith('docs/') && path !== 'docs/README.md' && !index.includes(`(${path.slice('docs/'.length)})`)), [])
})
