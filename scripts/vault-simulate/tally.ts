/** What was answered, how fast, and what went wrong. */

export class Tally {
  readonly latencies = new Map<string, number[]>()
  readonly results = { applied: 0, unchanged: 0, stale: 0 }
  readonly errors = new Map<string, number>()
  requests = 0
  failures = 0

  noteAnswer (route: string, status: number, ms: number): void {
    this.requests++
    const list = this.latencies.get(route)
    if (list === undefined) this.latencies.set(route, [ms])
    else list.push(ms)
    if (status >= 400) this.#noteError(`${route}: ${status}`)
  }

  noteResult (result: string): void {
    if (result in this.results) this.results[result as keyof Tally['results']]++
  }

  noteFailure (error: unknown): void {
    this.requests++
    this.#noteError(error instanceof Error ? error.message : String(error))
  }

  get all (): number[] {
    return [...this.latencies.values()].flat()
  }

  #noteError (what: string): void {
    this.failures++
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1)
  }
}
