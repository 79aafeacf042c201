/*
** Races against the watchdog, for the sanitizers: scripts/sanitize-native.ts links this with SQLite and watchdog.c and runs it.
**
**   stress [seconds [threads]]     exit code 0 if nothing was wrong, else 1 and what it was
**   stress exit                    ends the process while all threads are in statements: exit code 0
**
** What is checked by each worker of its own connection, while cancellers aim at all of them, and at those that are closed:
**
**   1. A statement is interrupted only if tandem_end() then says why.
**   2. What was cancelled (answer 1) while it ran, has a reason at its end, whatever the statement was: nested ones, a trigger, a cursor, one that SQLite compiles
**      again because the schema has changed.
**   3. The statement after tandem_end() is never interrupted, with or without a budget, and neither is a prepare.
**   4. An operation with a deadline ends, even if its statement would not.
**   5. However many connections there are, there is one ticker; and in the end there are no slots in use.
*/
#include "sqlite3.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 64
#define CANCELLERS 3

typedef struct Worker {
  pthread_t thread;
  int number;
  unsigned seed;
  _Atomic sqlite3_int64 slot, op;      /* what the cancellers aim at */
  _Atomic sqlite3_int64 hit;           /* the last operation for which a cancel answered 1 */
  char file[64];
} Worker;

static Worker workers[WORKERS];
static int workerCount = 8;
static atomic_int isOver, isAllDone;
static atomic_long repeats, operations, interrupted, cancels[3], reasons[4], opened;

int sqlite3_watchdog_init(sqlite3*, char**, const void*);

/* What sqlite3_load_extension() does with the result. */
static int load(sqlite3 *db, char **error, const void *api){
  int rc = sqlite3_watchdog_init(db, error, api);
  return rc==SQLITE_OK_LOAD_PERMANENTLY ? SQLITE_OK : rc;
}

static void fail(const char *what, sqlite3 *db){
  fprintf(stderr, "stress: %s (%s)\n", what, db ? sqlite3_errmsg(db) : "");
  _exit(1);
}

static unsigned random_below(unsigned *seed, unsigned n){
  *seed = *seed*1664525u + 1013904223u;
  return (*seed>>8) % n;
}

static sqlite3_int64 ask(sqlite3 *db, const char *sql, sqlite3_int64 a, sqlite3_int64 b){
  sqlite3_stmt *stmt;
  if( sqlite3_prepare_v2(db, sql, -1, &stmt, 0)!=SQLITE_OK ) fail(sql, db);
  if( sqlite3_bind_parameter_count(stmt)>0 ) sqlite3_bind_int64(stmt, 1, a);
  if( sqlite3_bind_parameter_count(stmt)>1 && b>=0 ) sqlite3_bind_int64(stmt, 2, b);
  if( sqlite3_step(stmt)!=SQLITE_ROW ) fail(sql, db);
  sqlite3_int64 answer = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return answer;
}

static sqlite3 *open_connection(const char *file){
  sqlite3 *db;
  if( sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE, 0)!=SQLITE_OK ) fail("open", db);
  atomic_fetch_add(&opened, 1);
  return db;
}

static const char schema[] =
  "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE t(a); INSERT INTO t VALUES (1),(2),(3);"
  "CREATE TABLE u(a); CREATE TABLE log(a); CREATE TRIGGER tr AFTER INSERT ON u BEGIN INSERT INTO log VALUES (new.a); DELETE FROM log; END;"
  "CREATE VIRTUAL TABLE f USING fts5(body); INSERT INTO f VALUES ('one two'),('two three'),('three four');";

#define ENDLESS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n"

/* Those from here on do not end by themselves. */
#define FIRST_ENDLESS 6
static const char *const statements[] = {
  "SELECT a FROM t WHERE rowid = 2",
  "SELECT rowid FROM f WHERE f MATCH 'two'",
  "INSERT INTO u VALUES (7)",
  "INSERT INTO f VALUES ('four five')",
  "DELETE FROM u",
  "SELECT count(*) FROM t x, t y, t z",
  ENDLESS,
  "SELECT * FROM t, (" ENDLESS ")",
  "INSERT INTO u SELECT 1 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n)"
};
enum { STATEMENTS = sizeof statements/sizeof statements[0] };

typedef struct Connection {
  sqlite3 *db;
  sqlite3_stmt *stmt[STATEMENTS], *end;
  sqlite3_int64 op;
} Connection;

/* One statement of an operation. False if it was ended; what SQLite then says depends on where it was. */
static int run(Connection *c, int which, unsigned *seed){
  sqlite3_stmt *stmt = c->stmt[which];
  int rc, rows = 0;
  if( random_below(seed, 3)==0 ) return sqlite3_exec(c->db, statements[which], 0, 0, 0)==SQLITE_OK;
  while( (rc = sqlite3_step(stmt))==SQLITE_ROW ){
    if( rows++==0 && random_below(seed, 4)==0 ) usleep(100);  /* a cursor that is parked */
  }
  sqlite3_reset(stmt);
  return rc==SQLITE_DONE;
}

static void connect_worker(Worker *w, Connection *c){
  char *error = 0;
  unlink(w->file);
  c->db = open_connection(w->file);
  c->op = 0;
  if( sqlite3_exec(c->db, schema, 0, 0, &error)!=SQLITE_OK ) fail("schema", c->db);
  for(int i = 0; i<STATEMENTS; i++){
    if( sqlite3_prepare_v2(c->db, statements[i], -1, &c->stmt[i], 0)!=SQLITE_OK ) fail(statements[i], c->db);
  }
  if( sqlite3_prepare_v2(c->db, "SELECT tandem_end()", -1, &c->end, 0)!=SQLITE_OK ) fail("end", c->db);
  atomic_store(&w->op, 0);
  atomic_store(&w->hit, 0);
  atomic_store(&w->slot, ask(c->db, "SELECT tandem_slot()", 0, 0));
}

/* As Watchdog.end() does: see statement_ended() for why it may have to be called again. */
static int end_operation(Connection *c){
  for(int tries = 0; tries<20; tries++){
    int rc = sqlite3_step(c->end), reason = sqlite3_column_int(c->end, 0);
    sqlite3_reset(c->end);
    if( rc==SQLITE_ROW ) return reason;
    if( rc!=SQLITE_INTERRUPT ) break;
    atomic_fetch_add(&repeats, 1);
  }
  fail("tandem_end()", c->db);
  return 0;
}

static void disconnect(Connection *c){
  sqlite3_finalize(c->end);
  for(int i = 0; i<STATEMENTS; i++) sqlite3_finalize(c->stmt[i]);
  if( sqlite3_close(c->db)!=SQLITE_OK ) fail("close", c->db);
}

static void run_operation(Worker *w, Connection *c){
  unsigned *seed = &w->seed;
  sqlite3_int64 op = ++c->op;
  int isEndless = 0, isEnded = 0, count = 1+random_below(seed, 3);
  sqlite3_int64 deadline = (sqlite3_int64)random_below(seed, 8)-4;  /* negative: none */
  if( random_below(seed, 8)==0 ) atomic_store(&w->op, op);  /* then it may be cancelled before it begins */
  /* another connection changes the schema: the statements are out of date when they start */
  if( random_below(seed, 8)==0 ){
    sqlite3 *other = open_connection(w->file);
    sqlite3_exec(other, "CREATE TABLE IF NOT EXISTS x(a); DROP TABLE x;", 0, 0, 0);
    sqlite3_close(other);
  }
  if( random_below(seed, 4)==0 ) ask(c->db, "SELECT tandem_budget(?)", 1+random_below(seed, 3), 0);
  if( ask(c->db, "SELECT tandem_begin(?, ?)", op, deadline) ) return;
  atomic_store(&w->op, op);
  for(int i = 0; i<count; i++){
    int which = random_below(seed, STATEMENTS);
    if( which>=FIRST_ENDLESS ) isEndless = 1;
    if( !run(c, which, seed) ) isEnded = 1;
  }
  int isHit = atomic_load(&w->hit)==op;
  int reason = end_operation(c);
  if( reason==0 && (isEnded || isEndless) ) fail("ended without a reason", c->db);
  if( reason==0 && isHit ) fail("cancelled, but without a reason", c->db);
  atomic_fetch_add(&operations, 1);
  atomic_fetch_add(&interrupted, isEnded);
  atomic_fetch_add(&reasons[reason], 1);
}

/* Statements with a budget and without an operation. */
static void run_with_budget(Connection *c){
  ask(c->db, "SELECT tandem_budget(?)", 1, 0);
  if( sqlite3_exec(c->db, statements[FIRST_ENDLESS], 0, 0, 0)!=SQLITE_INTERRUPT ) fail("not ended by the budget", c->db);
  if( end_operation(c)!=1 ) fail("not ended by time", c->db);
  ask(c->db, "SELECT tandem_budget(?)", 60000, 0);
  int rc = sqlite3_exec(c->db, "SELECT count(*) FROM t x, t y, t z; SELECT 1", 0, 0, 0);
  if( rc!=SQLITE_OK && end_operation(c)!=3 ) fail("ended before its budget, and not for memory", c->db);
}

static void run_afterwards(Connection *c){
  sqlite3_stmt *stmt;
  ask(c->db, "SELECT tandem_budget(0)", 0, 0);
  if( sqlite3_prepare_v2(c->db, "EXPLAIN SELECT * FROM t, u, json_each('[1]')", -1, &stmt, 0)!=SQLITE_OK ) fail("a prepare after the end was hit", c->db);
  while( sqlite3_step(stmt)==SQLITE_ROW ){}
  if( sqlite3_finalize(stmt)!=SQLITE_OK ) fail("EXPLAIN after the end was hit", c->db);
  int rc = sqlite3_exec(c->db, "SELECT count(*) FROM t x, t y, t z; INSERT INTO u VALUES (1); DELETE FROM u", 0, 0, 0);
  if( rc!=SQLITE_OK ) fail("a statement after the end was hit", c->db);
}

static void *work(void *arg){
  Worker *w = arg;
  Connection c;
  while( !atomic_load(&isOver) ){
    connect_worker(w, &c);
    int rounds = 1+random_below(&w->seed, 500);
    for(int i = 0; i<rounds && !atomic_load(&isOver); i++){
      run_operation(w, &c);
      run_afterwards(&c);
      if( random_below(&w->seed, 8)==0 ) run_with_budget(&c);
    }
    disconnect(&c);
  }
  unlink(w->file);
  return 0;
}

static void *cancel(void *arg){
  unsigned seed = (unsigned)(size_t)arg;
  sqlite3 *db = open_connection(":memory:");
  sqlite3_stmt *stmt;
  if( sqlite3_prepare_v2(db, "SELECT tandem_cancel(?, ?)", -1, &stmt, 0)!=SQLITE_OK ) fail("cancel", db);
  while( !atomic_load(&isAllDone) ){
    Worker *w = &workers[random_below(&seed, workerCount)];
    sqlite3_int64 slot = atomic_load(&w->slot), op = atomic_load(&w->op);
    if( random_below(&seed, 50)==0 ) slot = (sqlite3_int64)random_below(&seed, 1u<<24)*random_below(&seed, 1u<<24);
    if( random_below(&seed, 10)==0 ) op++;
    sqlite3_bind_int64(stmt, 1, slot);
    sqlite3_bind_int64(stmt, 2, op);
    if( sqlite3_step(stmt)!=SQLITE_ROW ) fail("cancel", db);
    int answer = sqlite3_column_int(stmt, 0);
    sqlite3_reset(stmt);
    atomic_fetch_add(&cancels[answer], 1);
    if( answer==1 && atomic_load(&w->slot)==slot ) atomic_store(&w->hit, op);
    if( random_below(&seed, 40)==0 ) ask(db, "SELECT tandem_heap_limit(?)", random_below(&seed, 2) ? 1<<20 : 0, 0);
    usleep(random_below(&seed, 300));
  }
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return 0;
}

static void *run_endless(void *arg){
  sqlite3 *db = open_connection(":memory:");
  ask(db, "SELECT tandem_begin(1, 3600000)", 0, 0);
  atomic_fetch_add((atomic_int*)arg, 1);
  sqlite3_exec(db, ENDLESS, 0, 0, 0);
  return 0;
}

static int end_while_all_run(void){
  atomic_int ready = 0;
  pthread_t thread;
  for(int i = 0; i<workerCount; i++) pthread_create(&thread, 0, run_endless, &ready);
  while( atomic_load(&ready)<workerCount ) usleep(100);
  usleep(20000);
  return 0;
}

static void check_many(void){
  enum { MANY = 1500 };
  static sqlite3 *many[MANY];
  for(int i = 0; i<MANY; i++) many[i] = open_connection(":memory:");
  sqlite3_int64 slot = ask(many[MANY-1], "SELECT tandem_slot()", 0, 0);
  if( ask(many[0], "SELECT json_extract(tandem_stats(), '$.slots')", 0, 0)!=MANY ) fail("not a slot for each", many[0]);
  if( ask(many[0], "SELECT json_extract(tandem_stats(), '$.tickers')", 0, 0)!=1 ) fail("not one ticker", many[0]);
  for(int i = MANY-1; i>0; i--) sqlite3_close(many[i]);
  if( ask(many[0], "SELECT tandem_cancel(?, 1)", slot, 0)!=0 ) fail("a closed connection can be cancelled", many[0]);
  sqlite3_close(many[0]);
}

int main(int argc, char **argv){
  pthread_t cancellers[CANCELLERS];
  sqlite3_auto_extension((void(*)(void))load);
  if( argc>1 && strcmp(argv[1], "exit")==0 ) return end_while_all_run();
  int seconds = argc>1 ? atoi(argv[1]) : 5;
  workerCount = argc>2 && atoi(argv[2])<=WORKERS ? atoi(argv[2]) : workerCount;
  check_many();
  for(int i = 0; i<workerCount; i++){
    Worker *w = &workers[i];
    w->number = i;
    w->seed = (unsigned)time(0)*31u + i;
    snprintf(w->file, sizeof w->file, "stress-%d-%d.db", (int)getpid(), i);
    pthread_create(&w->thread, 0, work, w);
  }
  for(int i = 0; i<CANCELLERS; i++) pthread_create(&cancellers[i], 0, cancel, (void*)(size_t)(i+1));
  sleep(seconds);
  atomic_store(&isOver, 1);
  for(int i = 0; i<workerCount; i++) pthread_join(workers[i].thread, 0);
  atomic_store(&isAllDone, 1);
  for(int i = 0; i<CANCELLERS; i++) pthread_join(cancellers[i], 0);
  sqlite3 *db = open_connection(":memory:");
  if( ask(db, "SELECT json_extract(tandem_stats(), '$.slots')", 0, 0)!=1 ) fail("slots are left", db);
  sqlite3_close(db);
  printf("%ld connections, %ld operations, %ld interrupted; stopped by time %ld, cancel %ld, memory %ld; ",
    opened, operations, interrupted, reasons[1], reasons[2], reasons[3]);
  printf("cancels: too late %ld, hit %ld, early %ld; tandem_end() again %ld\n", cancels[0], cancels[1], cancels[2], repeats);
  return 0;
}
