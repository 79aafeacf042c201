/** What requests there are: how often, and the status that says that the rows are there. The handlers are in app.ts. */

export interface Kind {
  readonly weight: number
  /** With this status all rows of the request are there, with any other none. Undefined: none in any case. */
  readonly success: number | undefined
  readonly method?: 'GET'
  /** A failure after the first byte can only be shown by an answer that is not complete. */
  readonly isStream?: true
}

const listed = {
  plain: { weight: 34, success: 200 },
  parallel: { weight: 8, success: 200 },
  nested: { weight: 10, success: 201 },
  joined: { weight: 6, success: 200 },
  script: { weight: 4, success: 200 },
  cursor: { weight: 4, success: 200 },
  slow: { weight: 9, success: 200 },
  explicit: { weight: 4, success: 200 },
  retry: { weight: 7, success: 200 },
  span: { weight: 9, success: 200, isStream: true },
  first: { weight: 4, success: 200, isStream: true },
  hijack: { weight: 3, success: 202, isStream: true },
  anyway: { weight: 3, success: 401 },
  deadline: { weight: 3, success: 200 },
  refused: { weight: 6, success: undefined },
  throwing: { weight: 5, success: undefined },
  doomed: { weight: 3, success: undefined },
  read: { weight: 6, success: 200, method: 'GET' }
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof listed
export const kinds: Readonly<Record<KindName, Kind>> = listed

/** What the app tells when it is asked (`report`). */
export interface Report {
  /** Requests on routes with a transaction, by kind. */
  readonly requests: Record<string, number>
  /** Messages on 'tandem:tx', by kind and outcome. */
  readonly events: Record<string, Record<string, number>>
  /** Requests whose socket is not done yet. */
  readonly active: number
  /** The requests whose afterCommit callback ran, one entry each time. */
  readonly committed: readonly string[]
  /** Same of afterRollback. */
  readonly rolledBack: readonly string[]
}
