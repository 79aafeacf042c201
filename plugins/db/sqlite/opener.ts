/** Makes the connections to one file: on the main thread or in threads, all alike. */
import { statSync } from 'node:fs'
import { Handle } from './handle.ts'
import { Inline } from './inline.ts'
import { openConnection, type SqliteFile, type SqliteSettings } from './open.ts'
import { END_MS } from './readers.ts'
import { retryBusy } from './retry.ts'
import { startThread, unlimited, type Thread } from './thread.ts'
import { loadWatchdog } from './watchdog.ts'

/** To recover or to put away a WAL up to this size takes a few ms. */
export const SMALL_WAL_BYTES = 1e6

/** The connections that are there from the start. */
export interface Connections { readonly reader: Inline, readonly writer: Inline | undefined, readonly writerThread: Thread | undefined }

export class Opener {
  readonly file: SqliteFile
  readonly settings: SqliteSettings

  constructor (file: SqliteFile, settings: SqliteSettings) {
    this.file = file
    this.settings = settings
  }

  /** The writer first, since it makes the file; a thread before it, if there is much to recover. */
  async open (): Promise<Connections> {
    const { readonly } = this.settings
    const writerThread = !readonly && this.walBytes() > SMALL_WAL_BYTES ? await this.thread(false, undefined) : undefined
    let writer: Inline | undefined
    try {
      writer = readonly ? undefined : await this.inline(false)
      return { reader: await this.inline(true), writer, writerThread }
    } catch (error) {
      writer?.handle.close()
      await writerThread?.end(END_MS)
      throw error
    }
  }

  /** While another process makes the file or recovers it, it cannot be opened. */
  async inline (readonly: boolean, share = 1): Promise<Inline> {
    const settings = { ...this.settings, cacheBytes: this.settings.cacheBytes / share }
    const limits = { ...unlimited, deadline: performance.now() + settings.acquireTimeoutMs }
    return await retryBusy(this.file.path, limits, () => {
      const db = openConnection(this.file.path, settings, readonly)
      const watchdog = settings.watchdog === 'on' ? loadWatchdog(db) : undefined
      watchdog?.limitLength(settings.maxLengthBytes)
      return new Inline(new Handle(db, watchdog), settings.eventLoopBudgetMs, settings.result)
    })
  }

  async thread (readonly: boolean, main: Inline | undefined): Promise<Thread> {
    return await startThread({ path: this.file.path, settings: this.settings, readonly }, main?.handle.watchdog, this.settings.result)
  }

  walBytes (): number {
    return sizeOf(`${this.file.path}-wal`)
  }
}

/** Of a file that may not be there. Looks at its entry, and never opens it. */
export function sizeOf (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
