/** What a copy knows of tables, and what the engines do differently (sqlite.ts, postgres.ts). Types only. */
import type { Column as Content, Database, Queryable, Value } from '../types.ts'

/** A table as a catalog describes it. */
export interface Table {
  readonly name: string
  /** What stands behind FROM: without the rows of tables that inherit from it, since those are copied too. */
  readonly relation: string
  /** False for one whose rows are kept elsewhere. */
  readonly hasRows: boolean
  readonly columns: readonly Column[]
  readonly foreignKeys: readonly ForeignKey[]
  /** What tells its rows apart, is never NULL, and in whose order they can be read. Empty: nothing does. */
  readonly key: readonly KeyColumn[]
  /** By what a reader knows its rows: the primary key, if there is one, else the same. */
  readonly label: readonly KeyColumn[]
}

export interface Column {
  readonly name: string
  /** Without a length. */
  readonly type: string
  /** What it does to values: 'any' keeps them, 'integer' and 'real' make numbers of texts that look like one. */
  readonly holds: 'any' | 'text' | 'integer' | 'real' | 'bytes'
  readonly isGenerated: boolean
  /** PostgreSQL: where its next value comes from, quoted. */
  readonly sequence?: string | null
}

export interface KeyColumn { readonly name: string, readonly type: string }

export interface ForeignKey {
  readonly child: string
  readonly parent: string
  /** PostgreSQL: its name, and when it is checked. */
  readonly name: string
  readonly timing: string
}

/** What is copied from where to where. */
export interface Plan {
  readonly source: Table
  readonly target: Table
  readonly columns: readonly ColumnPair[]
}

export interface ColumnPair { readonly source: Column, readonly target: Column }

/** Values in the order of the columns. */
export type Rows = ReadonlyArray<readonly Value[]>
export type Contents = ReadonlyArray<readonly Content[]>

/** Sends rows that were made ready for it. */
export type Write = (tx: Queryable) => Promise<void>

/** What the engines do differently. */
export interface Dialect {
  /** The same text for the same database. */
  readonly identify: (db: Queryable) => Promise<string>
  readonly readTables: (db: Queryable) => Promise<Table[]>
  /** A column in the SELECT, if the other side has the same engine. */
  readonly ownField: (column: Column) => string
  /** A column in the SELECT that is compared with one of the other engine. */
  readonly commonField: (column: Column) => string
  /** A column of the key in the SELECT. */
  readonly keyField: (column: KeyColumn) => string
  /** A placeholder for what `keyField` answered with. */
  readonly keyValue: (column: KeyColumn) => string
  /** What is written for a value; undefined if it would not be the same in this column. */
  readonly convert: (content: Content, column: Column) => Value | undefined
  /** Takes the work that can be done while other rows are written. */
  readonly prepare: (target: Table, columns: readonly Column[], rows: Rows) => Write
  readonly empty: (tx: Queryable, tables: readonly Table[]) => Promise<void>
  /** Has these keys checked later, by `checkKeys` in the same transaction. */
  readonly deferKeys: (tx: Queryable, keys: readonly ForeignKey[]) => Promise<void>
  readonly checkKeys: (tx: Queryable, keys: readonly ForeignKey[], tables: readonly Table[]) => Promise<void>
  /** The next generated values come behind the largest, and the planner knows the table. */
  readonly finish: (tx: Queryable, table: Table) => Promise<void>
  /** The indices of a table that can be dropped and made again: not those that keep rows apart. */
  readonly findIndices: (tx: Queryable, table: Table) => Promise<Array<{ name: string, sql: string }>>
  /** What `commonField` has answered with, in the form in which it is compared. */
  readonly settle: (columns: readonly Column[], rows: Contents) => Contents
  /** Contents of the other engine as `commonField` and `settle` would answer with them, if they were in these columns. */
  readonly normalise: (db: Database, columns: readonly Column[], rows: Contents) => Promise<Contents>
}
