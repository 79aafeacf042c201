// What documentation repeats is what the code says.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import t from 'tap'
import { readConfig } from '../../plugins/config/index.ts'
import { envExample, markdownTables, ownTable } from '../../plugins/config/report.ts'
import { getVariable, variables, type Name } from '../../plugins/config/schema.ts'
import { ownVariables } from '../../services/settings.ts'
import { machine, problemsOf } from './helper.ts'

const root = new URL('../../', import.meta.url)

function read (path: string): string {
  return readFileSync(new URL(path, root), 'utf8')
}

function script (option: string): string {
  return spawnSync(process.execPath, [fileURLToPath(new URL('scripts/config.ts', root)), option], { encoding: 'utf8' }).stdout
}

t.test('.env.example is made from the schema', async t => {
  t.equal(read('.env.example'), envExample(ownVariables), 'run: node scripts/config.ts --env-example > .env.example')
  t.equal(script('--env-example'), envExample(ownVariables))
})

t.test('.env.example has every variable once, in the order of the schema', async t => {
  const names = [...read('.env.example').matchAll(/^# ([A-Z_]+)=/gm)].map(match => match[1])
  t.same(names, ['FASTIFY_ADDRESS', 'PORT', 'FASTIFY_LOG_LEVEL', ...[...variables, ...ownVariables].map(({ name }) => name)])
})

t.test('.env.example as it is changes nothing, and every line of it can be used', async t => {
  t.same(parseEnv(read('.env.example')), {})
  const settings = parseEnv(read('.env.example').replace(/^# ([A-Z_]+=)/gm, '$1'))
  t.same(problemsOf({ ...settings, DATABASE_REPLICA_URL: '' }), [])
  t.same(problemsOf({ DB_DRIVER: 'postgres', DATABASE_REPLICA_URL: settings.DATABASE_REPLICA_URL ?? '' }), [])
})

t.test('docs/configuration.md has the tables of the schema', async t => {
  const [, tables] = /<!-- variables -->\n([^]*?)\n<!-- \/variables -->/.exec(read('docs/configuration.md')) ?? []
  t.equal(tables, markdownTables(), 'put the output of node scripts/config.ts --markdown between the two comments')
  t.equal(script('--markdown'), `${markdownTables()}\n`)
})

t.test('docs/configuration.md has the table of the variables of the application', async t => {
  const [, table] = /<!-- own -->\n([^]*?)\n<!-- \/own -->/.exec(read('docs/configuration.md')) ?? []
  t.equal(table, ownTable(ownVariables), 'put the output of node scripts/config.ts --own-markdown between the two comments')
  t.equal(script('--own-markdown'), `${ownTable(ownVariables)}\n`)
})

t.test('the example of each variable of the application can be used, and what is wrong is told with all the rest', async t => {
  const examples = Object.fromEntries(ownVariables.map(({ name, example }) => [name, example]))
  t.match(readConfig(examples, machine, ownVariables).own, examples)
  t.throws(() => readConfig({ DB_POOL_MAX: 'x', VAULT_URL: 'example.org', VAULT_KEY: 'short' }, machine, ownVariables),
    { code: 'TDM_ERR_CONFIG_INVALID', message: /DB_POOL_MAX=x[^]*VAULT_URL=example\.org: expected https:[^]*VAULT_KEY: expected 32 characters/ })
})

t.test('the messages that docs/configuration.md shows are the ones that come', async t => {
  const [, ...shown] = /```\n([^]*?)\n```/.exec(read('docs/configuration.md'))?.[1]?.split('\n') ?? []
  t.same(shown.map(line => line.replace(/^ {2}- /, '')), problemsOf({ DB_STATEMENT_TIMEOUT: '10m', SQLITE_CACHE: '1' }))
})

t.test('each default in the schema is the one that is in force', async t => {
  const written = Object.fromEntries(variables.flatMap(variable => 'default' in variable ? [[variable.name, variable.default]] : []))
  t.same(readConfig(written, machine), readConfig({}, machine))
})

t.test('each variable has a default, or tells how it is found, and an example that can be used', async t => {
  for (const { name } of variables) {
    const { default: text, defaultRule, example } = getVariable(name)
    t.ok((text === undefined) !== (defaultRule === undefined), name)
    t.same(problemsOf({ [name]: example, ...(name === 'DATABASE_REPLICA_URL' && { DB_DRIVER: 'postgres' }) }), [], name)
  }
  t.throws(() => getVariable('DB_NONSENSE' as Name), 'not in plugins/config/schema.ts')
})
