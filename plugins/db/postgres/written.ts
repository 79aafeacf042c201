/**
 * How much of the primary's log a replica must have replayed before code reads there what it has written itself.
 *
 * Kept for each request, and once for all code outside of requests. A position counts bytes of the write-ahead log. It is asked for behind each COMMIT, and whoever
 * commits does not wait for it: so one may be on its way, or be lost with its connection. Then it is unknown, until a later one, which covers it, was asked for.
 */
import type { Query } from '../types.ts'

/** Undefined: it was lost. */
export type Asked = Promise<number | undefined>

/**
 * After COMMIT was answered everything of it is before the insert position; before that it need not be.
 * https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-ADMIN-BACKUP
 */
export const ASK_POSITION = "SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 AS position, " +
  "pg_catalog.current_setting('wal_block_size')::pg_catalog.int4 AS page"

/** A page of the log begins with a header of up to so many bytes. */
const LONGEST_HEADER = 40

export const positionQuery: Query = { sql: ASK_POSITION, text: ASK_POSITION, style: 'none', count: 0, names: [], keyword: 'SELECT' }

/**
 * Of its answer. The insert position behind the last record of a page is behind the header of the next one, and the position of the replay before it: with nothing written
 * after that, the two would never meet. No record ends in a header, and one that began on the page before ends behind all others of that.
 */
export function readPosition (row: unknown): number | undefined {
  const { position, page } = (row ?? {}) as { position?: unknown, page?: unknown }
  if (position == null) return undefined
  const inPage = Number(position) % Number(page)
  return inPage <= LONGEST_HEADER ? Number(position) - inPage : Number(position)
}

/** Of one who writes. */
interface Mark {
  position: number
  /** Settled when all is known that was asked for until now. */
  asking: Promise<unknown> | undefined
  /** Answers that were lost, and how many of them a later answer covers. */
  lost: number
  covered: number
}

export class Written {
  readonly #ask: () => Asked
  readonly #ofRequests = new WeakMap<object, Mark>()
  readonly #outside = newMark()

  /** `ask`: the position now. */
  constructor (ask: () => Asked) {
    this.#ask = ask
  }

  /** `request` has written, and its position is asked for. */
  note (request: object | undefined, asked: Asked): void {
    const mark = this.#markOf(request)
    const settled = asked.then(position => {
      if (position === undefined) mark.lost++
      else mark.position = Math.max(mark.position, position)
    })
    const asking: Promise<unknown> = mark.asking = Promise.all([mark.asking, settled]).then(() => {
      if (mark.asking === asking) mark.asking = undefined
    })
  }

  /** What has to be replayed before `request` may read; 0 if it wrote nothing, Infinity if that is not known. */
  positionFor (request: object | undefined): number | Promise<number> {
    const mark = request === undefined ? this.#outside : this.#ofRequests.get(request)
    if (mark === undefined) return 0
    return mark.asking === undefined ? this.#positionOf(mark) : mark.asking.then(() => this.#positionOf(mark))
  }

  #markOf (request: object | undefined): Mark {
    if (request === undefined) return this.#outside
    const mark = this.#ofRequests.get(request) ?? newMark()
    this.#ofRequests.set(request, mark)
    return mark
  }

  #positionOf (mark: Mark): number {
    if (mark.lost === mark.covered) return mark.position
    void this.#cover(mark)
    return Infinity
  }

  async #cover (mark: Mark): Promise<void> {
    const { lost } = mark
    const position = await this.#ask()
    if (position === undefined) return
    mark.position = Math.max(mark.position, position)
    mark.covered = Math.max(mark.covered, lost)
  }
}

function newMark (): Mark {
  return { position: 0, asking: undefined, lost: 0, covered: 0 }
}
