/** `npm run test:node`, as far as nothing has to be fetched. */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { root } from '../helper/paths.ts'
import { start, waitFor } from '../rules/run.ts'

async function testNode (...parameters: string[]): Promise<{ code: number | null, output: string }> {
  return await waitFor(start(process.execPath, ['scripts/test-node.ts', ...parameters], { cwd: fileURLToPath(root) }))
}

t.test('a version that is none is refused, and it is said what one looks like', async t => {
  for (const version of [[], ['v22'], ['22.18'], ['test/app.test.ts']]) t.match(await testNode(...version), { code: 1, output: /expected a version such as 22 or 22\.18\.0, got/ })
})

t.test('the Node.js that runs the script is taken, if it is the one that is wanted', async t => {
  const [major = ''] = process.versions.node.split('.')
  t.match(await testNode(major, '--version'), { code: 0, output: new RegExp(`^${process.version}\n\\d+\\.\\d+\\.\\d+\n$`) }, 'the versions of Node.js and of tap')
})
