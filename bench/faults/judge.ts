/** What must hold when a run is over: between what clients were told, what the app told, and what is in the database. */
import type { Answer, Plan } from './client.ts'
import { kinds, type Report } from './kinds.ts'
import type { Truth } from './targets.ts'

export interface Outcome {
  readonly plan: Plan
  readonly answer: Answer
  /** The app's process that it was sent to. */
  readonly life: number
  /** That process was killed before the request had its answer. */
  readonly isKilled: boolean
}

const UNKNOWN = 'TDM_ERR_TX_OUTCOME_UNKNOWN'

/** What is wrong with one request, if anything. */
export function judgeRequest ({ plan, answer, isKilled }: Outcome, { parts }: Truth): string | undefined {
  const found = parts.get(plan.id) ?? []
  const isAll = found.length === plan.rows && found.every((part, i) => part === i + 1)
  const isNone = found.length === 0
  if (!isAll && !isNone) return `has a part of its ${plan.rows} rows: ${found.join(', ')}`
  const { success, isStream = false } = kinds[plan.kind]
  if (!answer.isComplete) return answer.isAborted || isKilled || isStream ? undefined : `got no complete answer, for no reason: ${answer.reason}`
  if (!answer.body.includes(plan.id) && answer.status === success) return `got the answer of another request: ${answer.body}`
  if (answer.status === success) return isAll ? undefined : `was answered ${success}, and its rows are not there`
  if ((answer.status ?? 0) < 400) return `was answered ${answer.status}, which it cannot be`
  if (answer.code === UNKNOWN) return undefined
  if (!isNone && plan.rows > 0) return `was answered ${answer.status} ${answer.code}, and its rows are there`
  if (!/^(?:TDM_ERR_\w+|REFUSED|THROWN)$/.test(answer.code ?? '')) return `was answered ${answer.status} with the error ${answer.code}: ${answer.body}`
  return undefined
}

/** What is wrong with the whole. `report` is that of the app's last process. */
export function judgeRun (outcomes: readonly Outcome[], { parts, counter }: Truth, report: Report, life: number): string[] {
  const wrong: string[] = []
  const ids = new Set(outcomes.map(({ plan }) => plan.id))
  const strangers = [...parts.keys()].filter(id => !ids.has(id))
  if (strangers.length > 0) wrong.push(`rows of requests that nobody sent: ${strangers.join(', ')}`)

  const retried = outcomes.filter(({ plan }) => plan.kind === 'retry' && parts.has(plan.id)).length
  if (counter !== retried) wrong.push(`the counter is ${counter} after ${retried} transactions that added 1`)

  if (report.active !== 0) wrong.push(`${report.active} requests never ended`)
  const mine = outcomes.filter(outcome => outcome.life === life)
  for (const kind of Object.keys(report.requests)) {
    const events = report.events[kind] ?? {}
    const sum = Object.values(events).reduce((a, b) => a + b, 0)
    if (sum !== report.requests[kind]) wrong.push(`${kind}: ${report.requests[kind]} requests reached the app, and ${sum} tandem:tx messages told of them: ${JSON.stringify(events)}`)
    const there = mine.filter(({ plan }) => plan.kind === kind && parts.has(plan.id)).length
    const { committed = 0, unknown = 0 } = events
    if (kind in kinds && kind !== 'read' && !(there >= committed && there <= committed + unknown)) {
      wrong.push(`${kind}: tandem:tx told of ${committed} commits and ${unknown} unknown outcomes, and ${there} requests have their rows`)
    }
  }
  for (const kind of Object.keys(report.events)) if (!(kind in report.requests)) wrong.push(`tandem:tx messages of no request: ${kind} ${JSON.stringify(report.events[kind])}`)

  return [...wrong, ...judgeCallbacks(mine, parts, report)]
}

function judgeCallbacks (mine: readonly Outcome[], parts: Truth['parts'], { committed, rolledBack }: Report): string[] {
  const wrong: string[] = []
  const told = new Set(committed)
  if (told.size !== committed.length) wrong.push(`afterCommit ran ${committed.length - told.size} times too often`)
  const lying = committed.filter(id => !parts.has(id))
  if (lying.length > 0) wrong.push(`afterCommit ran and the rows are not there: ${lying.join(', ')}`)
  const both = rolledBack.filter(id => parts.has(id) && !mine.some(({ plan }) => plan.id === id && plan.kind === 'retry'))
  if (both.length > 0) wrong.push(`afterRollback ran and the rows are there: ${both.join(', ')}`)
  const missed = mine.filter(({ plan, answer }) => plan.rows > 0 && answer.isComplete && answer.status === kinds[plan.kind].success && !told.has(plan.id))
  if (missed.length > 0) wrong.push(`answered as committed, and afterCommit never ran: ${missed.map(({ plan }) => `${plan.kind} ${plan.id}`).join(', ')}`)
  return wrong
}
