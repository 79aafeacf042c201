/**
 * What is under way, in the order in which it came: a list with its links in its members, from which each can be taken out at once.
 *
 * It is no Set, because a Set that lives long keeps what was in it. V8 moves the table of a Set to a new one after some additions and deletions, and the new one is in the old
 * generation from the beginning if the old one was (OrderedHashTable::Rehash). Nobody has the table before, but it holds its former members until the next full collection, and
 * each scavenge copies them, and all that they refer to, into the old generation.
 *
 * Kept true: a member is in one list at most, and holds nobody once it is out.
 */

/** What can be in a `List`. */
export abstract class Listed {
  /** Undefined: it is in none. Of the list's own use, as are the links. */
  list: object | undefined
  before: this | undefined
  after: this | undefined
}

export class List<M extends Listed> {
  #first: M | undefined
  #last: M | undefined
  #size = 0

  get size (): number {
    return this.#size
  }

  /** The one that has been in it for longest. */
  get first (): M | undefined {
    return this.#first
  }

  /** At the end. What is in a list already may not be added. */
  add (member: M): void {
    if (member.list !== undefined) throw new Error('it is in a list already')
    member.list = this
    member.before = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.after = member
    this.#last = member
    this.#size++
  }

  /** False if it was not in it. */
  delete (member: M): boolean {
    if (member.list !== this) return false
    const { before, after } = member
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    member.list = member.before = member.after = undefined
    this.#size--
    return true
  }

  /** Those that are in it now, the first first. */
  toArray (): M[] {
    const members: M[] = []
    for (let member = this.#first; member !== undefined; member = member.after) members.push(member)
    return members
  }

  /** Calls `fn` with each, but for those that are out by then. */
  forEach (fn: (member: M) => void): void {
    for (const member of this.toArray()) if (member.list === this) fn(member)
  }
}
