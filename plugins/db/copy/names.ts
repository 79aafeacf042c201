/** Names of tables and columns in SQL. */

export function quote (name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function namesOf (columns: ReadonlyArray<{ readonly name: string }>): string {
  return columns.map(({ name }) => quote(name)).join(', ')
}

/** By its name; SQLite knows no difference between upper and lower case. */
export function find<T extends { name: string }> (list: readonly T[], name: string): T | undefined {
  return list.find(item => item.name === name) ?? list.find(item => item.name.toLowerCase() === name.toLowerCase())
}

/** What the i-th column of a SELECT is called: as no column of a table is, since ORDER BY looks for a name among these first. */
export function contentName (i: number): string {
  return `tandem_c${i}`
}

export function keyName (i: number): string {
  return `tandem_k${i}`
}
