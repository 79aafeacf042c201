/**
 * `npm run config`: what the configuration is, where each value came from, what it costs in memory, and what would be better.
 * Changes nothing and opens no database. Exit code 1 with every problem when the configuration cannot be used.
 */
import { parseArgs } from 'node:util'
import { loadDotEnv } from '../plugins/config/environment.ts'
import { readConfig } from '../plugins/config/index.ts'
import { readMachine } from '../plugins/config/machine.ts'
import { envExample, markdownTables, ownTable, reportOn, reportText } from '../plugins/config/report.ts'
import { isOurs } from '../plugins/errors.ts'
import { ownVariables } from '../services/settings.ts'

const help = `Usage: npm run config [-- options]

Shows the configuration that the environment and .env describe.

  --json         as JSON
  --markdown     the tables of docs/configuration.md
  --own-markdown the table of the application's own variables there
  --env-example  the text of .env.example
  --help         this text`

const options = {
  json: { type: 'boolean', default: false },
  markdown: { type: 'boolean', default: false },
  'own-markdown': { type: 'boolean', default: false },
  'env-example': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

const values = parse()
if (values === undefined) process.exitCode = 1
else if (values.help) console.log(help)
else if (values.markdown) console.log(markdownTables())
else if (values['own-markdown']) console.log(ownTable(ownVariables))
else if (values['env-example']) process.stdout.write(envExample(ownVariables))
else show(values.json)

/** Undefined, and told why, when an option is not known. */
function parse () {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`)
    return undefined
  }
}

function show (json: boolean): void {
  const dotEnv = loadDotEnv(process.cwd())
  try {
    const machine = readMachine()
    const report = reportOn(readConfig(process.env, machine, ownVariables), machine, process.env, dotEnv, ownVariables)
    console.log(json ? toJson(report) : reportText(report))
  } catch (error) {
    if (!isOurs(error)) throw error
    process.exitCode = 1
    if (json) console.log(toJson({ code: error.code, problems: error.message.split('\n').slice(1).map(line => line.replace(/^ {2}- /, '')) }))
    else console.error(error.message)
  }
}

/** Infinity, which JSON does not have, as null. */
function toJson (value: unknown): string {
  return JSON.stringify(value, null, 2)
}
