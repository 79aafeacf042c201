/** Who waits for a reply: there, or gone before it was complete. */

export class Client {
  hasLeft = false
  #controller: AbortController | undefined

  /** Made when it is asked for, since most requests never do. */
  get signal (): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.hasLeft) this.#controller.abort(clientLeft())
    }
    return this.#controller.signal
  }

  leave (): void {
    this.hasLeft = true
    this.#controller?.abort(clientLeft())
  }
}

export function clientLeft (): Error {
  return new Error('the client closed the connection before the answer was complete')
}
