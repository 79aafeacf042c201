/**
 * A session with PostgreSQL: pg connects and authenticates, then its socket is taken over and the extended protocol is spoken here
 * (https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 *
 * What is sent is a row of exchanges: some calls, then one Sync. The server answers them in order, each with ReadyForQuery; after an error it passes over what is left of
 * the exchange.
 *
 * Kept true:
 *  1. Exchanges may be sent before earlier ones are answered. Everything sent in one turn of the event loop is one write.
 *  2. Each exchange ends exactly once: with ReadyForQuery, or with the session; then it says whether it can have reached the server.
 *  3. A statement is prepared once, under a name that is never used again, and described once. One whose Parse was passed over or failed is not known afterwards; its
 *     name fails for whoever was sent behind it, with the error of that Parse (`Prepared.error`).
 *  4. Rows are decoded as they arrive; no buffer of the socket is kept.
 * Does not know what a transaction is, who may use it, or when to stop.
 */
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { publishPool } from '../events.ts'
import { control, type Call, type Prepared } from './call.ts'
import { Inbox } from './inbox.ts'
import { Outbox, TERMINATE } from './messages.ts'
import { decodeRowsOf, type DecodeRow } from './rows.ts'

/** Calls that stand before one Sync. */
export class Exchange {
  calls: readonly Call[]
  /** A call that joins them when the exchange is closed: by what is sent next, or when it is written. */
  last: Call | undefined
  readonly #onEnd: (exchange: Exchange) => void
  /** How many calls are done. */
  position = 0
  /** What the server refused, and with it everything from `position` on; or why the session ended. */
  error: Error | undefined
  isSent = false
  /** The session ended before the answer. */
  isLost = false
  /** What COPY reads was sent with it, and nobody has asked for it yet. */
  hasInput = false
  /** Of the transaction, behind it: 'I' for none, 'T' for open, 'E' for failed. */
  status = ''

  constructor (calls: readonly Call[], onEnd: (exchange: Exchange) => void) {
    this.calls = calls
    this.#onEnd = onEnd
  }

  end (): void {
    this.#onEnd(this)
  }
}

export interface SessionOptions {
  /** How many statements are kept prepared; 0: none, each is parsed at each run. */
  readonly preparedStatements: number
}

/** What of pg's client is used; not in its types. */
interface Connected { readonly connection?: { readonly stream?: Duplex } }

export class Session {
  readonly client: pg.Client
  readonly #socket: Duplex
  readonly #outbox = new Outbox()
  readonly #exchanges: Exchange[] = []
  /** The last of the exchanges that were not written yet, which are at the end. */
  #unsent = 0
  /** The very last one, as long as its Sync is not there. */
  #open: Exchange | undefined
  readonly #statements = new Map<string, Prepared>()
  /** By exchange: a Parse that stands alone in it. */
  readonly #preparing = new Map<Exchange, Prepared>()
  readonly #capacity: number
  #names = 0
  #clock = 0
  #isFlushDue = false
  /** Why it ended; undefined as long as it has not. */
  #ended: Error | undefined
  /** It was asked to end, and was not lost. */
  #isOurEnd = false
  /** FATAL or PANIC: the server ends the session. */
  #lastWords: Error | undefined
  readonly since = performance.now()
  /** Of the last exchange that was answered. */
  status = 'I'
  /** Called once, when it ends. */
  onEnd: ((error: Error) => void) | undefined

  /** Takes over the socket of a client that is connected and idle. */
  constructor (client: pg.Client, { preparedStatements }: SessionOptions) {
    const { stream } = (client as unknown as Connected).connection ?? {}
    if (stream === undefined) throw new TypeError('this version of pg holds its socket somewhere else')
    this.client = client
    this.#socket = stream
    this.#capacity = preparedStatements
    const inbox = new Inbox(this.#receive)
    stream.removeAllListeners('data')
    stream.on('data', (chunk: Buffer) => { this.#read(inbox, chunk) })
    publishPool({ engine: 'postgres', what: 'opened' })
    stream.on('error', error => { this.#end(error) })
    stream.on('end', () => { this.destroy(new Error('the server closed the connection')) })
    stream.on('close', () => { this.#end(new Error('the connection was closed')) })
    client.on('error', () => {}) // pg tells it once more
  }

  get isOpen (): boolean {
    return this.#ended === undefined
  }

  /** Exchanges that are not answered. */
  get pending (): number {
    return this.#exchanges.length
  }

  // --- sending -----------------------------------------------------------------------------------------------------------

  /** Sends calls and one Sync; the promise never rejects. */
  run (...calls: Call[]): Promise<Exchange> {
    return new Promise(resolve => { this.send(new Exchange(calls, resolve)) })
  }

  /**
   * Sends SQL in the simple protocol: one or more statements, whose rows are dropped. `input`: what COPY reads. It is sent at once, since the server passes over what it has not asked
   * for.
   */
  runScript (text: string, input?: Uint8Array): Promise<Exchange> {
    return new Promise(resolve => {
      const exchange = new Exchange([control(text)], resolve)
      if (!this.#accepts(exchange)) return
      this.#outbox.query(text)
      if (input === undefined) return
      exchange.hasInput = true
      this.#outbox.copyIn(input)
    })
  }

  send (exchange: Exchange): void {
    if (!this.#accepts(exchange)) return
    this.#open = exchange
    for (const call of exchange.calls) this.#write(call)
  }

  #write (call: Call): void {
    try {
      call.statement ??= this.#find(call.text) ?? this.#parse(call.text)
      call.write(this.#outbox, call.statement)
    } catch (error) {
      this.destroy(error as Error) // a message that is too large for a buffer; the outbox holds a part of it
    }
  }

  /** Nothing joins it any more. */
  #closeExchange (): void {
    const exchange = this.#open
    if (exchange === undefined) return
    this.#open = undefined
    if (exchange.last !== undefined) {
      exchange.calls = [...exchange.calls, exchange.last]
      this.#write(exchange.last)
    }
    this.#outbox.sync()
  }

  /** Prepares a statement in an exchange of its own, so that nobody's error passes over it. */
  prepare (text: string): void {
    if (this.#statements.has(text)) return
    const exchange = new Exchange([], () => { this.#prepared(exchange) })
    if (!this.#accepts(exchange)) return
    const statement = this.#parse(text)
    this.#preparing.set(exchange, statement)
    this.#outbox.describeStatement(statement.name)
    this.#outbox.sync()
  }

  #prepared (exchange: Exchange): void {
    const statement = this.#preparing.get(exchange) // none if the session had ended before
    if (statement !== undefined) statement.error = exchange.error
    this.#preparing.delete(exchange)
  }

  /** Ends an open portal; nobody waits for the answer. */
  closePortal (portal: string): void {
    if (!this.#accepts(new Exchange([], () => {}))) return
    this.#outbox.closePortal(portal)
    this.#outbox.sync()
  }

  /**
   * The statement is not what it was (its table was altered), or the server has forgotten it (`isUnknown`), and then all others as well. One that was prepared anew in the meantime
   * stays.
   */
  forget (statement: Prepared | undefined, isUnknown: boolean): void {
    if (statement === undefined || this.#statements.get(statement.text) !== statement) return
    this.#closeExchange()
    for (const { text, name } of isUnknown ? this.#statements.values() : [statement]) {
      this.#statements.delete(text)
      this.#outbox.closeStatement(name) // goes with what is sent next, before which there is no error that could pass over it
    }
  }

  /** Writes what was collected, now. */
  flush (): void {
    this.#isFlushDue = false
    this.#closeExchange()
    if (this.#outbox.isEmpty || !this.isOpen) return
    for (; this.#unsent > 0; this.#unsent--) (this.#exchanges.at(-this.#unsent) as Exchange).isSent = true
    this.#socket.write(this.#outbox.take())
  }

  #accepts (exchange: Exchange): boolean {
    if (this.#ended !== undefined) {
      exchange.isLost = true
      exchange.error = this.#ended
      exchange.end()
      return false
    }
    this.#closeExchange()
    this.#exchanges.push(exchange)
    this.#unsent++
    if (!this.#isFlushDue) {
      this.#isFlushDue = true
      setImmediate(this.#flushDue)
    }
    return true
  }

  readonly #flushDue = (): void => {
    if (this.#isFlushDue) this.flush()
  }

  #find (text: string): Prepared | undefined {
    const statement = this.#statements.get(text)
    if (statement !== undefined) statement.usedAt = ++this.#clock
    return statement
  }

  #parse (text: string): Prepared {
    const isKept = this.#capacity > 0
    const statement: Prepared = { name: isKept ? `s${++this.#names}` : '', text, decode: undefined, isParsed: false, error: undefined, usedAt: ++this.#clock }
    if (isKept) {
      if (this.#statements.size >= this.#capacity) this.#forgetOldest()
      this.#statements.set(text, statement)
    }
    this.#outbox.parse(statement.name, text)
    return statement
  }

  #forgetOldest (): void {
    let oldest: Prepared | undefined
    for (const statement of this.#statements.values()) if (oldest === undefined || statement.usedAt < oldest.usedAt) oldest = statement
    if (oldest === undefined) return
    this.#statements.delete(oldest.text)
    this.#outbox.closeStatement(oldest.name) // before the Parse; if an error passes over it, the server keeps a statement that nobody will ask for
  }

  // --- receiving -----------------------------------------------------------------------------------------------------------

  #read (inbox: Inbox, chunk: Buffer): void {
    try {
      inbox.read(chunk)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  readonly #receive = (type: number, buffer: Buffer, start: number, end: number): void => {
    const exchange = this.#exchanges[0]
    if (exchange === undefined) {
      if (type === 0x45) this.#fail(undefined, readError(buffer, start, end))
      return
    }
    switch (type) {
      case 0x44: exchange.calls[exchange.position]?.addRow(buffer, start, end); break // DataRow
      case 0x43: this.#complete(exchange, buffer.toString('latin1', start, end - 1)); break // CommandComplete
      case 0x5a: this.#ready(exchange, String.fromCharCode(buffer[start] as number)); break // ReadyForQuery
      case 0x31: this.#parsed(exchange); break // ParseComplete
      case 0x54: this.#describe(exchange, decodeRowsOf(buffer, start)); break // RowDescription
      case 0x6e: this.#describe(exchange, null); break // NoData
      case 0x73: this.#complete(exchange, 'suspended'); break // PortalSuspended
      case 0x49: this.#complete(exchange, ''); break // EmptyQueryResponse
      case 0x45: this.#fail(exchange, readError(buffer, start, end)); break // ErrorResponse
      case 0x47: this.#answerCopy(exchange); break // CopyInResponse
      default: // BindComplete, CloseComplete, ParameterDescription, ParameterStatus, NoticeResponse, NotificationResponse, data of COPY TO
    }
  }

  #fail (exchange: Exchange | undefined, error: pg.DatabaseError): void {
    if (error.severity !== 'ERROR') this.#lastWords = error
    if (exchange !== undefined) exchange.error ??= error
  }

  #statementOf (exchange: Exchange): Prepared | undefined {
    return this.#preparing.get(exchange) ?? exchange.calls[exchange.position]?.statement
  }

  #parsed (exchange: Exchange): void {
    const statement = this.#statementOf(exchange)
    if (statement !== undefined) statement.isParsed = true
  }

  #describe (exchange: Exchange, decode: DecodeRow | null): void {
    const statement = this.#statementOf(exchange)
    if (statement !== undefined) statement.decode = decode
  }

  /** A script is one call, with as many answers as it has statements. */
  #complete (exchange: Exchange, tag: string): void {
    const call = exchange.calls[exchange.position]
    if (call === undefined) return
    call.tag = tag
    if (call.statement !== undefined) exchange.position++
  }

  #ready (exchange: Exchange, status: string): void {
    this.status = exchange.status = status
    this.#exchanges.shift()
    const prepared = this.#preparing.get(exchange)
    if (prepared !== undefined) this.#dropUnparsed(prepared)
    for (const { statement } of exchange.calls) if (statement !== undefined) this.#dropUnparsed(statement)
    exchange.end()
  }

  #dropUnparsed (statement: Prepared): void {
    if (!statement.isParsed && this.#statements.get(statement.text) === statement) this.#statements.delete(statement.text)
  }

  #answerCopy (exchange: Exchange): void {
    if (exchange.hasInput) exchange.hasInput = false // it is there already
    else this.#refuseCopy(exchange)
  }

  /**
   * Before anything else that waits to be written, which would not be understood now. The Sync that was sent with it was passed over. In the simple protocol there was none,
   * and another one would be answered by one ReadyForQuery too many.
   */
  #refuseCopy ({ calls, position }: Exchange): void {
    const refusal = new Outbox()
    refusal.copyFail('COPY FROM STDIN is not possible here')
    if (calls[position]?.statement !== undefined) refusal.sync()
    this.#socket.write(refusal.take())
  }

  // --- the end -------------------------------------------------------------------------------------------------------------

  /** Says goodbye, and waits for no answer: there may be nobody any more. */
  end (): void {
    if (!this.isOpen) return
    this.flush()
    this.#isOurEnd = true
    this.#socket.end(TERMINATE, () => { this.#socket.destroy() })
    this.#end(new Error('the connection was closed'))
  }

  /** Ends it without asking. */
  destroy (error: Error): void {
    this.#socket.destroy()
    this.#end(error)
  }

  #end (error: Error): void {
    if (this.#ended !== undefined) return
    this.#ended = this.#lastWords ?? error
    for (const exchange of this.#exchanges.splice(0)) {
      exchange.isLost = true
      exchange.error ??= this.#ended
      exchange.end()
    }
    publishPool({ engine: 'postgres', what: this.#isOurEnd ? 'closed' : 'lost' })
    this.onEnd?.(this.#ended)
  }
}

/** https://www.postgresql.org/docs/18/protocol-error-fields.html */
const FIELDS: Readonly<Record<string, keyof pg.DatabaseError>> = {
  V: 'severity', C: 'code', D: 'detail', H: 'hint', P: 'position', n: 'constraint', s: 'schema', t: 'table', c: 'column', d: 'dataType', R: 'routine', W: 'where'
}

/** In the form that pg's errors have. */
function readError (buffer: Buffer, start: number, end: number): pg.DatabaseError {
  const parts = buffer.toString('utf8', start, end).split('\0').filter(part => part !== '')
  const message = parts.find(part => part.startsWith('M'))?.slice(1) ?? ''
  const error = new pg.DatabaseError(message, end - start, 'error')
  for (const part of parts) {
    const field = FIELDS[part.charAt(0)]
    if (field !== undefined) Object.assign(error, { [field]: part.slice(1) })
  }
  return error
}
