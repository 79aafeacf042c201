/** A web server of server.ts as its parent sees it: its address, its answers, and what it has used. */
import { isDeepStrictEqual } from 'node:util'
import { ACCOUNTS, itemOf } from '../contenders/data.ts'
import { Child } from '../measure/child.ts'
import { spreadId } from '../measure/ids.ts'
import type { ServerJob, Told, Usage } from './server.ts'

const CHECKED = 20

export class WebServer {
  readonly name: string
  readonly address: string
  readonly #child: Child<Told>

  private constructor (name: string, child: Child<Told>, port: number) {
    this.name = name
    this.#child = child
    this.address = `http://127.0.0.1:${port}`
  }

  /** Rejects when the contender cannot be started. */
  static async start (job: ServerJob): Promise<WebServer> {
    const child = new Child<Told>(new URL('server.ts', import.meta.url), job)
    const told = await child.next() as { port: number }
    return new WebServer(job.contender, child, told.port)
  }

  async usage (): Promise<Usage> {
    const next = this.#child.next()
    this.#child.tell('usage')
    return await next as Usage
  }

  /** What is wrong with the rows that it answers. */
  async checkReads (rows: number): Promise<string[]> {
    const problems: string[] = []
    for (let i = 0; i < CHECKED; i++) {
      const id = spreadId(i, rows)
      const answer = await fetch(`${this.address}/read/${id}`)
      const body: unknown = await answer.json()
      if (!answer.ok || !isDeepStrictEqual(body, itemOf(id))) problems.push(`${this.name} answers the row ${id} with ${answer.status} ${JSON.stringify(body)}`)
    }
    return problems
  }

  /** What is wrong with the answers to its transactions; what they did, `audit` sees. */
  async checkMoves (): Promise<string[]> {
    const problems: string[] = []
    for (let i = 0; i < CHECKED; i++) {
      const account = spreadId(i, ACCOUNTS)
      const answer = await fetch(`${this.address}/move/${account}`, { method: 'POST' })
      const body = await answer.text()
      if (!answer.ok || body !== JSON.stringify({ account })) problems.push(`${this.name} answers a transaction on ${account} with ${answer.status} ${body}`)
    }
    return problems
  }

  async stop (): Promise<void> {
    this.#child.process.disconnect()
    await this.#child.ended
  }
}
