/**
 * Statements at random: of every common type, of every size, wrong ones, ones that write, and ones that make the server forget what it has prepared.
 * A limited number of texts, so that each is met often enough to come to a lane.
 */
import type { Random } from '../../../bench/faults/random.ts'
import type { Value } from '../../../plugins/db/types.ts'

/** A text, and values for it. */
export interface Shape {
  readonly sql: string
  /** 'write': once done, `id` is in the table `log`, once. 'forget': the session's statements are gone then; for lanes alone. */
  readonly kind: 'read' | 'write' | 'forget'
  readonly values: (random: Random, nextId: () => number) => Value[]
}

/** What has to be there. */
export const SCHEMA = `
  CREATE TYPE mood AS ENUM ('glad', 'so-so', 'traurig 😢');
  CREATE TABLE item (id INT PRIMARY KEY, big INT8, amount NUMERIC, name TEXT, code CHAR(6), bytes BYTEA, at TIMESTAMPTZ, doc JSONB, tags TEXT[], mood MOOD);
  INSERT INTO item SELECT i, i * 3007199254740991, i / 7.0, CASE WHEN i % 5 = 0 THEN NULL ELSE repeat('ü😀', i % 40) END, i::text, decode(md5(i::text), 'hex'),
    timestamptz '2026-03-29 00:59:59.999999+00' + i * interval '1 hour', jsonb_build_object('i', i), ARRAY[i::text, NULL, '{'], 'glad' FROM generate_series(1, 3000) AS g (i);
  CREATE TABLE shifting (id INT PRIMARY KEY, a INT);
  INSERT INTO shifting SELECT i, i FROM generate_series(1, 20) AS g (i);
  CREATE TABLE log (id INT);
  CREATE FUNCTION write_log (n INT) RETURNS INT LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (n); RETURN n; END';
  CREATE FUNCTION fail (code TEXT) RETURNS INT LANGUAGE plpgsql AS 'BEGIN IF code <> '''' THEN RAISE EXCEPTION ''wanted'' USING ERRCODE = code; END IF; RETURN 1; END';
  CREATE FUNCTION forget_all () RETURNS INT LANGUAGE plpgsql AS 'BEGIN EXECUTE ''DEALLOCATE ALL''; EXECUTE ''DISCARD PLANS''; RETURN 1; END'`

const NAMES = ['a', 'b', '__proto__', 'constructor', 'a"b', "it's", '😀', 'Größe', 'v0', 'toString', 'x y', '1', 'a\\b', 'new\nline', '${d}', '?', ':n', '*/']
const WORDS = ['', 'x', "it's", '"', '\\', '\\x41', '😀', 'ß', '\u{10FFFF}', 'e\u0301', '{}', 'NULL', '\t\n\r', '0', 'text that is longer than thirty-two bytes, so it is written otherwise', '\u007f\u0080\u07ff\u0800\uffff']
const FAILURES = ['', '', '', '', '', '', '22012', '23505', 'P0001', '40001', '57014', '25006', '26000', '0A000']

type Make = (random: Random) => Value

const int = (low: number, high: number): Make => random => String(random.between(low, high))
const two = (n: number): string => String(n).padStart(2, '0')
const oneOf = (...texts: readonly string[]): Make => random => texts[random.between(0, texts.length - 1)] as string
const digits = (random: Random, count: number): string => Array.from({ length: count }, () => random.between(0, 9)).join('')
const text: Make = random => Array.from({ length: random.between(0, 4) }, () => WORDS[random.between(0, WORDS.length - 1)]).join('')
const bytes: Make = random => Buffer.from(Array.from({ length: random.between(0, 40) }, () => random.between(0, 255)))
const date = (random: Random): string => `${random.between(1000, 9999)}-${two(random.between(1, 12))}-${two(random.between(1, 28))}`
const time = (random: Random): string => `${two(random.between(0, 23))}:${two(random.between(0, 59))}:${two(random.between(0, 59))}${random.chance(0.5) ? '' : `.${digits(random, random.between(1, 6))}`}`

const TYPES: ReadonlyArray<readonly [type: string, make: Make]> = [
  ['int2', int(-32768, 32767)], ['int4', int(-2147483648, 2147483647)], ['oid', int(0, 4294967295)],
  ['int8', random => `${random.chance(0.5) ? '-' : ''}${random.between(1, 8)}${digits(random, random.between(0, 18))}`],
  ['numeric', random => `${random.chance(0.5) ? '-' : ''}${digits(random, random.between(1, 30))}${random.chance(0.5) ? '' : `.${digits(random, random.between(1, 20))}`}`],
  ['numeric', oneOf('NaN', 'Infinity', '-Infinity', '0', '0.0', '100.00', '1e30', '1e-30')],
  ['float4', random => `${random.next() * 10 ** random.between(-30, 30)}`], ['float8', random => `${(random.next() - 0.5) * 10 ** random.between(-300, 300)}`],
  ['float8', oneOf('NaN', 'Infinity', '-Infinity', '-0', '0')],
  ['bool', oneOf('t', 'f', 'yes', '0')], ['text', text], ['varchar(9)', text], ['char(12)', text], ['bytea', bytes], ['date', date], ['date', oneOf('infinity', '0044-03-15 BC', '12026-01-01')],
  ['time', time], ['timetz', random => `${time(random)}${oneOf('+00', '+05:30', '-08')(random)}`],
  ['timestamp', random => `${date(random)} ${time(random)}`], ['timestamptz', random => `${date(random)} ${time(random)}${oneOf('+00', '+02', '-11:30')(random)}`],
  ['timestamptz', oneOf('infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '12026-01-01 00:00:00+00')],
  ['interval', random => `${random.between(-99, 99)} days ${time(random)}`], ['json', random => JSON.stringify({ a: text(random) })], ['jsonb', random => JSON.stringify([text(random), null, 1.5])],
  ['uuid', random => digits(random, 32)], ['int4[]', random => `{${random.between(1, 9)},NULL,${random.between(1, 9)}}`], ['text[]', oneOf('{}', '{"a b",NULL,"\\""}')],
  ['int4range', random => `[${random.between(1, 9)},${random.between(10, 99)})`], ['tstzrange', oneOf('empty', '[2026-01-01,2026-02-01)')],
  ['mood', oneOf('glad', 'so-so', 'traurig 😢')], ['inet', oneOf('10.0.0.1/8', '::1')]
]

const quoted = (random: Random): string => `"${(NAMES[random.between(0, NAMES.length - 1)] as string).replaceAll('"', '""')}"`

/** One in ten is NULL, and one in fifty is nothing that the type knows. */
function spoilt (make: Make, random: Random): Value {
  if (random.chance(0.1)) return null
  return random.chance(0.02) ? oneOf('x!', '', 'a\0b')(random) : make(random)
}

function typed (random: Random, columns: number): Shape {
  const chosen = Array.from({ length: columns }, () => TYPES[random.between(0, TYPES.length - 1)] as (typeof TYPES)[number])
  const sql = `SELECT ${chosen.map(([type]) => `CAST(? AS ${type}) AS ${quoted(random)}`).join(', ')}`
  return { sql, kind: 'read', values: random => chosen.map(([, make]) => columns > 20 ? make(random) : spoilt(make, random)) }
}

const reads: ReadonlyArray<(random: Random) => Shape> = [
  random => typed(random, random.between(1, 8)),
  random => typed(random, random.between(1, 3)),
  random => typed(random, random.between(100, 300)),
  () => ({ sql: 'SELECT', kind: 'read', values: () => [] }),
  () => ({ sql: 'SELECT i AS n, i::text AS n, -i AS m, repeat(\'ä\', CAST(? AS int)) AS s FROM generate_series(1, CAST(? AS int)) AS g (i)', kind: 'read', values: random => [random.between(0, 30), random.chance(0.05) ? random.between(0, 3000) : random.between(0, 20)] }),
  () => ({ sql: 'SELECT repeat(CAST(? AS text), CAST(? AS int)) AS big, CAST(? AS int) AS n', kind: 'read', values: random => [oneOf('x', 'ü😀', '\\')(random), random.chance(0.02) ? random.between(1, 400_000) : random.between(0, 5000), 7] }),
  () => ({ sql: 'SELECT * FROM item WHERE id = CAST(? AS int)', kind: 'read', values: random => [random.between(0, 3001)] }),
  () => ({ sql: 'SELECT * FROM item WHERE id > CAST(? AS int) ORDER BY id LIMIT CAST(? AS int)', kind: 'read', values: random => [random.between(0, 3000), random.between(-1, 60)] }),
  () => ({ sql: 'SELECT * FROM shifting WHERE id < CAST(? AS int) ORDER BY id', kind: 'read', values: random => [random.between(0, 21)] }),
  () => ({ sql: 'SELECT s.*, s AS whole FROM shifting s WHERE id = CAST(? AS int)', kind: 'read', values: random => [random.between(1, 20)] }),
  () => ({ sql: 'SELECT 100 / CAST(? AS int) AS q', kind: 'read', values: random => [random.between(0, 5)] }),
  () => ({ sql: 'SELECT fail(CAST(? AS text)) AS f', kind: 'read', values: random => [oneOf(...FAILURES)(random)] }),
  random => ({ sql: oneOf('SELECT nothing', 'SELECT 1 FROM nowhere', 'SELEC 1', 'SELECT no_such_function(1)', 'SELECT 1 WHERE')(random) as string, kind: 'read', values: () => [] })
]

const writes: readonly string[] = ['INSERT INTO log (id) VALUES (?) RETURNING id', 'SELECT write_log(?) AS id', 'WITH w AS (INSERT INTO log VALUES (?) RETURNING id) SELECT id FROM w']

/** So many texts, all different. One in eight writes. */
export function makeShapes (random: Random, count: number): Shape[] {
  return Array.from({ length: count }, (_, i): Shape => {
    if (i % 60 === 30) return { sql: `SELECT forget_all() AS f /* ${i} */`, kind: 'forget', values: () => [] }
    const shape: Shape = i % 8 === 7
      ? { sql: writes[i % writes.length] as string, kind: 'write', values: (_, nextId) => [nextId()] }
      : (reads[i % reads.length] as (typeof reads)[number])(random)
    return { ...shape, sql: `${shape.sql} /* ${i} */` }
  })
}

/** What changes the columns of a table that is read. All of them are met in the order of `n`. */
export function alteration (n: number): string {
  const column = `c${Math.floor(n / 4)}`
  return [
    `ALTER TABLE shifting ADD COLUMN ${column} TEXT`,
    `ALTER TABLE shifting RENAME COLUMN ${column} TO ${column}_renamed`,
    `ALTER TABLE shifting ALTER COLUMN ${column}_renamed TYPE INT8 USING 9007199254740993`,
    `ALTER TABLE shifting DROP COLUMN ${column}_renamed`
  ][n % 4] as string
}
