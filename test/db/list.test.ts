/** The list of what is under way. */
import t from 'tap'
import { List, Listed } from '../../plugins/db/list.ts'

class Member extends Listed {
  readonly n: number

  constructor (n: number) {
    super()
    this.n = n
  }
}

const numbersOf = (list: List<Member>): number[] => list.toArray().map(({ n }) => n)

/** A list of `count` members, and these. */
function make (count: number): [List<Member>, Member[]] {
  const list = new List<Member>()
  const members = Array.from({ length: count }, (_, n) => new Member(n))
  for (const member of members) list.add(member)
  return [list, members]
}

void t.test('members keep their order, whichever is taken out', async t => {
  for (const out of [0, 1, 2, 3]) {
    const [list, members] = make(4)
    t.equal(list.delete(members[out] as Member), true)
    t.equal(list.delete(members[out] as Member), false, 'it is out already')
    const left = [0, 1, 2, 3].filter(n => n !== out)
    t.strictSame([numbersOf(list), list.size, list.first?.n], [left, 3, left[0]])
    list.add(members[out] as Member)
    t.strictSame(numbersOf(list), [...left, out])
  }
})

void t.test('one that is empty again is as a new one, and who is out holds nobody', async t => {
  const [list, members] = make(3)
  for (const member of members) list.delete(member)
  t.strictSame([numbersOf(list), list.size, list.first], [[], 0, undefined])
  for (const { list, before, after } of members) t.strictSame([list, before, after], [undefined, undefined, undefined])
})

void t.test('a member is in one list at most', async t => {
  const [list, [member]] = make(1)
  const other = new List<Member>()
  t.throws(() => { list.add(member as Member) }, /in a list already/)
  t.throws(() => { other.add(member as Member) }, /in a list already/)
  t.equal(other.delete(member as Member), false)
  t.strictSame(numbersOf(list), [0])
})

void t.test('forEach passes over who was taken out meanwhile, and over who has come', async t => {
  const [list, members] = make(4)
  const seen: number[] = []
  list.forEach(({ n }) => {
    seen.push(n)
    if (n !== 1) return
    list.delete(members[1] as Member)
    list.delete(members[2] as Member)
    list.add(new Member(9))
  })
  t.strictSame(seen, [0, 1, 3])
  t.strictSame(numbersOf(list), [0, 3, 9])
})
