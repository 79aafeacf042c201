/** What is in the database of a fault run, and what is known of it beforehand. */

export const ACCOUNTS = 40
export const START_BALANCE = 1000

export const schema = `CREATE TABLE entry (id BIGINT NOT NULL, part SMALLINT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (id, part));
  CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL);
  CREATE TABLE transfer (id BIGINT PRIMARY KEY, source BIGINT NOT NULL, target BIGINT NOT NULL, amount BIGINT NOT NULL);
  CREATE TABLE counter (client BIGINT PRIMARY KEY, n BIGINT NOT NULL);
  INSERT INTO account (id, balance) SELECT i, ${START_BALANCE} FROM generate_series(1, ${ACCOUNTS}) AS i;
  INSERT INTO counter (client, n) SELECT i, 0 FROM generate_series(0, 1023) AS i`

export const noteOf = (id: number): string => `note ${id}`

export interface Times {
  /** Of a statement on its own, and of a transaction. */
  readonly statementMs: number
  readonly txMs: number
}
