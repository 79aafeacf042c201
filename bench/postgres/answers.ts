/** That all clients answer equally, before anything is timed. */
import { isDeepStrictEqual } from 'node:util'
import { spreadId } from '../measure/ids.ts'
import type { Client } from './clients.ts'
import { itemOf, RANGE } from '../contenders/data.ts'

const IDS = 20

/** What is wrong. `rows`: of the table. */
export async function compareAnswers (clients: readonly Client[], rows: number): Promise<string[]> {
  const problems: string[] = []
  const expect = (name: string, what: string, got: unknown, expected: unknown): void => {
    if (!isDeepStrictEqual(plain(got), expected)) problems.push(`${name} answers ${what} with ${JSON.stringify(got)}, not with ${JSON.stringify(expected)}`)
  }
  for (const { name, one, all } of clients) {
    for (let i = 0; i < IDS; i++) {
      const id = spreadId(i, rows)
      expect(name, `the row ${id}`, await one('point', id), itemOf(id))
    }
    expect(name, 'the row 0', await one('point', 0), undefined)
    const expected = Array.from({ length: RANGE }, (_, i) => itemOf(i + 1))
    expect(name, `the first ${RANGE} rows`, await all('list', 1), expected)
  }
  return problems
}

/** Without the classes that libraries give their rows and lists. */
function plain (got: unknown): unknown {
  return got === undefined ? undefined : JSON.parse(JSON.stringify(got))
}
