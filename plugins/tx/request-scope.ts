/**
 * The scope of a request, opened for every request and therefore almost nothing: what the route says, and a transaction, are looked up or made when a statement, or
 * `request.tx`, asks for them.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasTxListeners } from '../db/events.ts'
import type { Link, Scope } from '../db/scope.ts'
import { Client } from './client.ts'
import { wasCancelled } from './reply.ts'
import { RequestTransaction } from './request-transaction.ts'
import type { RouteSettings } from './route.ts'

/** What holds for a request. `isOfRoute`: false if it found none. `settings`: undefined for no transaction. */
export interface RequestSettings { readonly settings: RouteSettings | undefined, readonly isOfRoute: boolean }

export class RequestScope implements Scope {
  readonly deadline = Infinity
  readonly request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #lookUp: (request: FastifyRequest) => RequestSettings
  #client: Client | undefined
  #isLookedUp = false
  #isSealed = false
  #link: Link | undefined
  /** Undefined as long as nobody has asked for it, and on routes without one. */
  opened: RequestTransaction | undefined

  constructor (request: FastifyRequest, reply: FastifyReply, lookUp: (request: FastifyRequest) => RequestSettings) {
    this.request = request
    this.#reply = reply
    this.#lookUp = lookUp
    if (hasTxListeners()) void this.transaction // they are told of requests that ask nothing, too
  }

  get transaction (): RequestTransaction | undefined {
    if (!this.#isLookedUp) {
      this.#isLookedUp = true
      const { settings, isOfRoute } = this.#lookUp(this.request)
      if (settings === undefined) this.#followClient()
      else this.opened = new RequestTransaction(this.request, this.#reply, this.client, settings, isOfRoute)
      if (this.#isSealed) this.opened?.seal()
      this.#link = this.opened?.link
    }
    return this.opened
  }

  /** The reply is on its way, and nothing was asked of the database: what still asks is refused. */
  seal (): void {
    this.#isSealed = true
  }

  /** Of the first attempt. */
  get link (): Link | undefined {
    void this.transaction
    return this.#link
  }

  get signal (): AbortSignal {
    void this.transaction
    return this.client.signal
  }

  get client (): Client {
    return this.#client ??= new Client()
  }

  /** Without a transaction there is nothing that waits for the end; but statements are given up when the client leaves. */
  #followClient (): void {
    this.#reply.raw.once('close', () => { if (!this.#reply.raw.writableFinished || wasCancelled(this.#reply)) this.client.leave() })
  }
}
