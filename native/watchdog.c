/*
** A loadable extension of SQLite that ends a statement from outside: when its time is over, when somebody asks for it, or when the process has too much memory.
**
** SQLite has sqlite3_interrupt() for that, which sets a flag of the connection. Whatever runs when the flag is set ends; a statement that starts while no other is
** active clears it. So there are two ways to get it wrong: to set it too early (it is lost), or too late (it ends a statement of somebody else, or is written into
** a connection that is closed). This file is about neither happening.
**
** WORDS
**
**   slot        what is known of one connection. Slots are reused and never freed; a handle is the index of a slot and a generation, so an old handle fits no slot.
**   operation   the statements of a connection between tandem_begin() and tandem_end(). They have one deadline, and one number to be cancelled by.
**   budget      the time that each statement of a connection may take, within an operation or not.
**   outermost   the statement that the connection was asked for. Triggers, virtual tables (FTS5) and functions run others inside of it.
**   ticker      the one thread of the process that looks at the clock, however many connections there are.
**
** STATES of a slot
**
**   free --take_slot()--> idle --statement_began()--> watched --statement_ended()--> idle ... --release_slot()--> free
**
** INVARIANTS
**
**   1. sqlite3_interrupt() is called only under the lock of a slot, and only while `outermost` is set. It is set when SQLite reports that the statement starts
**      (TRACE_STMT: the flag is clear by then), and reset when SQLite reports that it ends (TRACE_PROFILE), before the connection can do anything else. Hence no
**      interrupt is early and none is late. (There is one exception, with its reason, at statement_ended().)
**   2. A slot is released when SQLite destroys the functions of a connection: no statement of it can come any more, and its memory is still there. (TRACE_CLOSE
**      is too soon: the close may yet fail because of open statements.)
**   3. A stop holds for the whole operation: `stop` stays until tandem_end(), and a statement that starts meanwhile is interrupted at its start.
**   4. Statements whose text starts with "SELECT tandem_" are neither watched nor stopped: it is through them that a connection is governed.
**   5. A connection that has neither a budget nor an operation is never interrupted; one that has only a budget is not interrupted in BEGIN, COMMIT and their like.
**   6. The ticker looks at a statement in time: either it sees `watched`, or whoever started the statement sees `wakeAt` and rings. See tick().
**
** LOCKS: the registry's and one for each slot: spin locks, held for some ten instructions. Nobody holds two of them, and nobody waits while holding one. A
** connection is used by one thread at a time; that thread reads without the lock what only it writes: `outermost`, `isRetried`, `steps`, `op`, `lastOp`, `budget`.
*/
#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1
#include "platform.h"
#include <stdatomic.h>
#include <string.h>

#define SHORTEST (MS/2)         /* the ticker does not look again sooner ... */
#define LONGEST  (5*MS)         /* ... nor later, while a statement is watched; so often it also samples the memory */
#define AWAKE    (50*MS)        /* so long it goes on when nothing is watched any more, so that statements in a row need not wake it */
#define PATIENCE (25*MS)        /* so long has an operation that was stopped for memory to give it back, before the next one is stopped */
#define REPEATS  8              /* so often it repeats an interrupt that may have been lost; see statement_ended() */
#define EARLY    16             /* operations of a connection that can be cancelled before they begin */
#define LONG     (100*MS)       /* a budget from here on is a deadline: such a statement may have to be stopped for memory, as an operation may */
#define BLOCK    64             /* slots are made in blocks */
#define BLOCKS   16384

enum { TIME = 1, CANCEL, MEMORY };

typedef struct Slot Slot;
struct Slot {
  atomic_int lock;
  atomic_int watched;           /* a hint for the ticker, which skips other slots without a lock */
  i64 index, generation;
  sqlite3 *db;                  /* NULL if the slot is free */
  sqlite3_stmt *outermost;      /* the statement that is watched; compared, and not looked into */
  i64 startedAt;                /* when it began */
  int steps;                    /* what SQLite had counted for it by then */
  int isRetried;                /* it ended, but it seems that SQLite runs it again; see statement_ended() */
  int repeats;                  /* how often its interrupt is still to be repeated */
  i64 budget;                   /* ns; 0 for none */
  i64 op, lastOp;               /* the operation that runs, or 0; the highest number so far */
  i64 deadline;                 /* of the operation; NEVER for none */
  int stop;                     /* why the operation (or the statement, where there is none) was stopped, or 0 */
  i64 early[EARLY];             /* operations to come that are cancelled already; 0: unused */
  int walPages;
  Slot *nextFree;
};

static Slot *_Atomic blocks[BLOCKS];
static atomic_int slotCount;          /* that were ever made */
static atomic_int slotsInUse;
static atomic_int registryLock;       /* for making, taking and releasing slots, and for: */
static Slot *freeSlots;
static int tickers;                   /* threads that were started */

static _Atomic i64 wakeAt = NEVER;    /* when the ticker looks again, if nobody rings */
static _Atomic i64 longestNap = LONGEST;
static _Atomic i64 heapLimit;         /* bytes; 0 for none */
static atomic_int stopped[MEMORY+1];  /* how many were, by reason */

/* ---- slots ------------------------------------------------------------------------------------------------------------------------------------------------- */

static void lock(atomic_int *l){
  for(int tries = 0; atomic_exchange_explicit(l, 1, memory_order_acquire); tries++){
    if( tries>100 ) give_way();
  }
}
static void unlock(atomic_int *l){ atomic_store_explicit(l, 0, memory_order_release); }

static Slot *slot_at(i64 index){
  return atomic_load_explicit(&blocks[index/BLOCK], memory_order_relaxed) + index%BLOCK;
}

/* Makes a block of slots; the registry is locked. */
static void make_slots(void){
  int count = atomic_load(&slotCount);
  Slot *block = count<BLOCK*BLOCKS ? sqlite3_malloc(BLOCK*sizeof(Slot)) : NULL;
  if( block==NULL ) return;
  memset(block, 0, BLOCK*sizeof(Slot));
  for(int i = BLOCK-1; i>=0; i--){
    block[i].index = count+i;
    block[i].nextFree = freeSlots;
    freeSlots = &block[i];
  }
  atomic_store(&blocks[count/BLOCK], block);
  atomic_store(&slotCount, count+BLOCK);
}

/* A slot for the connection, or NULL if there is no memory; the registry is locked. */
static Slot *take_slot(sqlite3 *db){
  if( freeSlots==NULL ) make_slots();
  Slot *s = freeSlots;
  if( s==NULL ) return NULL;
  freeSlots = s->nextFree;
  atomic_fetch_add(&slotsInUse, 1);
  lock(&s->lock);
  s->db = db;
  s->outermost = NULL;
  s->isRetried = s->repeats = s->stop = 0;
  s->budget = s->op = s->lastOp = 0;
  s->deadline = NEVER;
  s->walPages = -1;
  memset(s->early, 0, sizeof s->early);
  unlock(&s->lock);
  return s;
}

/* The connection is gone: the destructor of tandem_slot(). */
static void release_slot(void *arg){
  Slot *s = arg;
  lock(&s->lock);
  s->db = NULL;
  s->outermost = NULL;
  s->generation = (s->generation+1) & 0xffffffff;
  unlock(&s->lock);
  atomic_store(&s->watched, 0);
  lock(&registryLock);
  s->nextFree = freeSlots;
  freeSlots = s;
  atomic_fetch_sub(&slotsInUse, 1);
  unlock(&registryLock);
}

/* A handle is a number that JavaScript has exactly: below 2^53. */
static i64 handle_of(Slot *s){ return s->generation*BLOCK*BLOCKS + s->index; }

/* ---- stopping; in these the slot is locked ----------------------------------------------------------------------------------------------------------------- */

static void stop(Slot *s, int reason){
  if( s->stop==0 ){
    s->stop = reason;
    atomic_fetch_add(&stopped[reason], 1);
  }
  if( s->outermost ) sqlite3_interrupt(s->db);
}

/* When the statement has to be stopped (again). */
static i64 due_of(Slot *s){
  i64 due = s->op ? s->deadline : NEVER;
  if( s->stop ) return s->repeats>0 ? 0 : NEVER;
  return s->budget && s->startedAt+s->budget<due ? s->startedAt+s->budget : due;
}

/* True if what runs may be stopped for memory. */
static int is_governed(Slot *s){ return (s->op || s->budget>=LONG) && !s->stop; }

/* When the ticker has to look at it: when it is due, or the memory has to be measured. */
static i64 next_look(Slot *s, i64 now){
  i64 due = due_of(s);
  return is_governed(s) && due>now+LONGEST && atomic_load(&heapLimit) ? now+LONGEST : due;
}

/* ---- the ticker -------------------------------------------------------------------------------------------------------------------------------------------- */

/* Stops what has been running the longest, if there is something. */
static void stop_longest(void){
  Slot *longest = NULL;
  i64 since = NEVER, generation = 0, op = 0;
  for(int i = 0, n = atomic_load(&slotCount); i<n; i++){
    Slot *s = slot_at(i);
    if( !atomic_load(&s->watched) ) continue;
    lock(&s->lock);
    if( s->outermost && is_governed(s) && s->startedAt<since ){
      longest = s;
      since = s->startedAt;
      generation = s->generation;
      op = s->op;
    }
    unlock(&s->lock);
  }
  if( longest==NULL ) return;
  lock(&longest->lock);
  if( longest->generation==generation && longest->op==op && longest->startedAt==since ) stop(longest, MEMORY);
  unlock(&longest->lock);
}

/* Keeps the memory of the process below the limit, by one operation (or statement with a long budget) at a time. */
static void check_heap(i64 now, i64 limit){
  static i64 sampledAt, patientUntil, before;
  if( now-sampledAt<LONGEST ) return;
  sampledAt = now;
  i64 bytes = anon_bytes();
  if( bytes<=limit ){
    patientUntil = 0;
    return;
  }
  if( now<patientUntil ) return;
  if( patientUntil==0 || bytes>=before ) stop_longest();
  before = bytes;
  patientUntil = now+PATIENCE;
}

/* Stops what is due. The answer is when it has to be looked at again, NEVER if nothing is watched that can become due. */
static i64 look(i64 now){
  i64 first = NEVER, limit = atomic_load(&heapLimit);
  int isGovernedRunning = 0;
  for(int i = 0, n = atomic_load(&slotCount); i<n; i++){
    Slot *s = slot_at(i);
    if( !atomic_load(&s->watched) ) continue;
    lock(&s->lock);
    if( s->outermost ){
      if( due_of(s)<=now ){
        stop(s, TIME);
        if( s->repeats>0 ) s->repeats--;
      }
      if( due_of(s)<first ) first = due_of(s);
      if( is_governed(s) ) isGovernedRunning = 1;
    }
    unlock(&s->lock);
  }
  if( limit==0 || !isGovernedRunning ) return first;
  check_heap(now, limit);
  return first<now+LONGEST ? first : now+LONGEST;
}

/*
** The thread. While it looks, wakeAt is NEVER, so that whoever starts a statement then rings; what began to be watched before that is seen. Afterwards whoever
** starts a statement that is due before wakeAt rings. Both sides first write and then read, sequentially consistent, so one of them sees the other.
*/
static void tick(void){
  i64 busyAt = now_ns();
  for(;;){
    atomic_store(&wakeAt, NEVER);
    i64 now = now_ns(), next = NEVER, due = look(now);
    if( due<NEVER ) busyAt = now;
    if( now-busyAt<AWAKE ){
      next = now+atomic_load(&longestNap);
      if( due<next ) next = due;
      if( next<now+SHORTEST ) next = now+SHORTEST;
    }
    atomic_store(&wakeAt, next);
    if( rest_until(next) ) busyAt = now_ns();
  }
}

/* ---- what SQLite reports ----------------------------------------------------------------------------------------------------------------------------------- */

/* Sees to it that the ticker looks at the slot by then. The slot is not locked: nobody rings with a lock. */
static void expect_look(Slot *s, i64 time){
  atomic_store(&s->watched, 1);
  if( time<atomic_load(&wakeAt) ) ring();
}

static void statement_began(Slot *s, sqlite3_stmt *stmt){
  i64 now = now_ns();
  lock(&s->lock);
  if( !s->isRetried ){
    s->outermost = stmt;
    s->steps = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
  }
  s->startedAt = now;
  if( s->op==0 ) s->stop = 0;
  if( s->stop || due_of(s)<=now ) stop(s, TIME);
  i64 time = next_look(s, now);
  unlock(&s->lock);
  expect_look(s, time);
}

/*
** When the schema has changed, SQLite ends a statement in its second step (OP_Init, OP_Transaction), compiles it again and runs it again, all inside of
** sqlite3_step(). The end is reported, the second start is not, and what that start clears may have been our interrupt. So a statement that ended so early stays
** watched; others that start meanwhile may be those of a virtual table that is connected again, and count as parts of it. If the operation is stopped, the ticker
** interrupts several times.
**
** It may look so without being so: a statement without tables that starts in a stopped operation ends as early, and so does one whose file cannot be read. Then
** the connection is idle, and an interrupt is lost, unless it falls between the start of a statement and TRACE_STMT. If the operation is stopped, that statement is
** to be interrupted anyway; only tandem_end() has to be called again.
*/
static void statement_ended(Slot *s, sqlite3_stmt *stmt){
  int steps = sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
  int isRetried = steps-s->steps<=2 && !sqlite3_stmt_busy(stmt);
  lock(&s->lock);
  s->steps = steps;
  s->isRetried = isRetried;
  s->repeats = isRetried && s->op ? REPEATS : 0;
  if( !isRetried ) s->outermost = NULL;
  unlock(&s->lock);
  if( isRetried ) ring();
  else atomic_store_explicit(&s->watched, 0, memory_order_relaxed);
}

static void forget_retried(Slot *s){
  lock(&s->lock);
  s->isRetried = s->repeats = 0;
  s->outermost = NULL;
  unlock(&s->lock);
}

/* BEGIN, COMMIT and their like: to interrupt one for a budget would end a transaction that has done nothing wrong. */
static int is_control(const char *sql){
  static const char *const words[] = { "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE" };
  if( strchr("BCRS", sql[0])==NULL ) return 0;
  for(int i = 0; i<5; i++) if( strncmp(sql, words[i], strlen(words[i]))==0 ) return 1;
  return 0;
}

static int on_trace(unsigned event, void *arg, void *stmt, void *sql){
  Slot *s = arg;
  if( event==SQLITE_TRACE_PROFILE ){
    if( stmt==s->outermost ) statement_ended(s, stmt);
    return 0;
  }
  if( sql!=sqlite3_sql(stmt) ) return 0;  /* a trigger, or a statement inside of another one: their text is a comment made for us */
  int isOurs = strncmp(sql, "SELECT tandem_", 14)==0;
  if( s->isRetried && (isOurs || stmt==s->outermost) ) forget_retried(s);
  if( isOurs ) return 0;
  if( s->outermost==NULL && s->op==0 && is_control(sql) ) return 0;
  if( s->isRetried || (s->outermost==NULL && (s->budget || s->op)) ) statement_began(s, stmt);
  return 0;
}

/* Another process has the lock: waits with SQLite's own steps, but only for an operation, and no longer than that may go on. */
static int on_busy(void *arg, int count){
  static const unsigned char delays[] = { 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100 };
  Slot *s = arg;
  int last = sizeof delays-1;
  i64 now = now_ns(), until = now + delays[count<last ? count : last]*MS;
  while( now<until ){
    lock(&s->lock);
    if( due_of(s)<=now ) stop(s, TIME);
    int isOver = s->op==0 || s->stop;
    unlock(&s->lock);
    if( isOver ) return 0;
    nap(until-now<2*MS ? until-now : 2*MS);
    now = now_ns();
  }
  return 1;
}

static int on_commit(void *arg, sqlite3 *db, const char *schema, int pages){
  Slot *s = arg;
  if( strcmp(schema, "main")==0 ) s->walPages = pages;
  return SQLITE_OK;
}

/* ---- the SQL functions ------------------------------------------------------------------------------------------------------------------------------------- */

#define FUNCTION(name) static void name(sqlite3_context *context, int argc, sqlite3_value **args)
#define SLOT           Slot *s = sqlite3_user_data(context)

/* Milliseconds as nanoseconds: not below 0, and not more than some 30 years. */
static i64 ns_of(sqlite3_value *ms){
  double ns = sqlite3_value_double(ms)*MS;
  return ns>0 ? ns<1e18 ? (i64)ns : (i64)1e18 : 0;
}

/* The bytes (or whatever it is) behind an SQLITE_DBSTATUS_, -1 if this SQLite does not know it. */
static i64 status_of(sqlite3 *db, int verb){
  i64 current, highest;
  return sqlite3_db_status64(db, verb, &current, &highest, 0)==SQLITE_OK ? current : -1;
}

/* tandem_slot() → the handle of this connection */
FUNCTION(fn_slot){ SLOT; sqlite3_result_int64(context, handle_of(s)); }

/* tandem_budget(ms): each statement of this connection may take that long; 0 or NULL: as long as it wants */
FUNCTION(fn_budget){
  SLOT;
  i64 budget = ns_of(args[0]);
  lock(&s->lock);
  s->budget = budget;
  unlock(&s->lock);
  if( budget>0 && budget<atomic_load(&longestNap) ) atomic_store(&longestNap, budget>SHORTEST ? budget : SHORTEST);
}

/* tandem_begin(op, ms) → 0, or 1 if that operation was cancelled already; it is not begun then. ms: from now, NULL for no deadline */
FUNCTION(fn_begin){
  SLOT;
  i64 op = sqlite3_value_int64(args[0]);
  i64 now = now_ns();
  i64 deadline = sqlite3_value_type(args[1])==SQLITE_NULL ? NEVER : now+ns_of(args[1]);
  int isCancelled = 0;
  if( op<=s->lastOp ){
    sqlite3_result_error(context, "tandem_begin: expected a number above that of the last operation", -1);
    return;
  }
  lock(&s->lock);
  for(int i = 0; i<EARLY; i++){
    if( s->early[i]==op ) isCancelled = 1;
    if( s->early[i]<=op ) s->early[i] = 0;
  }
  s->lastOp = op;
  s->op = isCancelled ? 0 : op;
  s->deadline = deadline;
  s->stop = 0;
  int isParked = s->outermost!=NULL;  /* a cursor of before, which goes on in this operation */
  i64 time = next_look(s, now);
  unlock(&s->lock);
  if( isParked ) expect_look(s, time);
  sqlite3_result_int(context, isCancelled);
}

/* tandem_end() → why the operation (the last statement, if there was none) was stopped: 0 it was not, 1 time, 2 cancelled, 3 memory */
FUNCTION(fn_end){
  SLOT;
  lock(&s->lock);
  int reason = s->stop;
  s->op = 0;
  s->stop = 0;
  unlock(&s->lock);
  sqlite3_result_int(context, reason);
}

/* What a cancel does to a slot that is locked. */
static int cancel(Slot *s, i64 op){
  if( op==s->op ){
    stop(s, CANCEL);
    return 1;
  }
  for(int i = 0; op>s->lastOp && i<EARLY; i++){
    if( s->early[i]!=0 && s->early[i]!=op ) continue;
    s->early[i] = op;
    return 2;
  }
  return 0;
}

/* tandem_cancel(slot, op) → 1 stopped; 2 not begun yet, but it will not; 0 over, or the connection is closed, or too many are cancelled in advance */
FUNCTION(fn_cancel){
  i64 handle = sqlite3_value_int64(args[0]), op = sqlite3_value_int64(args[1]);
  int answer = 0;
  if( handle>=0 && handle%(BLOCK*BLOCKS)<atomic_load(&slotCount) && op>0 ){
    Slot *s = slot_at(handle%(BLOCK*BLOCKS));
    lock(&s->lock);
    if( s->db && handle_of(s)==handle ) answer = cancel(s, op);
    unlock(&s->lock);
    if( answer==1 ) ring();  /* it may have to be repeated */
  }
  sqlite3_result_int(context, answer);
}

/* tandem_busy(): this connection waits for locks as on_busy() does */
FUNCTION(fn_busy){ SLOT; sqlite3_busy_handler(s->db, on_busy, s); }

/* tandem_length(bytes) → the former limit of the length of a value or row; a negative number changes nothing */
FUNCTION(fn_length){ SLOT; sqlite3_result_int(context, sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, sqlite3_value_int(args[0]))); }

/* tandem_memory() → JSON */
FUNCTION(fn_memory){
  SLOT;
  i64 spilled = status_of(s->db, SQLITE_DBSTATUS_TEMPBUF_SPILL);
  char *json = sqlite3_mprintf("{\"cacheBytes\":%lld,\"schemaBytes\":%lld,\"statementBytes\":%lld", status_of(s->db, SQLITE_DBSTATUS_CACHE_USED),
    status_of(s->db, SQLITE_DBSTATUS_SCHEMA_USED), status_of(s->db, SQLITE_DBSTATUS_STMT_USED));
  if( json ) json = spilled<0 ? sqlite3_mprintf("%z}", json) : sqlite3_mprintf("%z,\"spilledBytes\":%lld}", json, spilled);
  if( json ) sqlite3_result_text(context, json, -1, sqlite3_free);
  else sqlite3_result_error_nomem(context);
}

/* tandem_trim() → 1, or 0 if no way is known to give memory back to the system; to the allocator this connection's cache is given in any case */
FUNCTION(fn_trim){ SLOT; sqlite3_db_release_memory(s->db); sqlite3_result_int(context, trim_malloc()); }

/* tandem_anon() → bytes, NULL if unknown */
FUNCTION(fn_anon){ i64 bytes = anon_bytes(); if( bytes>=0 ) sqlite3_result_int64(context, bytes); }

/* tandem_heap_limit(bytes): for the process; 0 for none. Only operations are stopped for it */
FUNCTION(fn_heap_limit){ atomic_store(&heapLimit, sqlite3_value_int64(args[0])); ring(); }

/* tandem_wal() → pages in the WAL as of this connection's last commit, -1 if there was none since the first call. From that on SQLite makes no checkpoints by
** itself here, since they use the same hook; PRAGMA wal_autocheckpoint takes it back, until the next call */
FUNCTION(fn_wal){ SLOT; sqlite3_wal_hook(s->db, on_commit, s); sqlite3_result_int(context, s->walPages); }

/* tandem_deferred() → 1 if there are deferred foreign keys that are violated at the moment */
FUNCTION(fn_deferred){ SLOT; sqlite3_result_int(context, status_of(s->db, SQLITE_DBSTATUS_DEFERRED_FKS)>0); }

/* tandem_stats() → JSON, for the process */
FUNCTION(fn_stats){
  char *json = sqlite3_mprintf("{\"slots\":%d,\"tickers\":%d,\"stoppedByTime\":%d,\"stoppedByCancel\":%d,\"stoppedByMemory\":%d}",
    atomic_load(&slotsInUse), tickers, atomic_load(&stopped[TIME]), atomic_load(&stopped[CANCEL]), atomic_load(&stopped[MEMORY]));
  if( json ) sqlite3_result_text(context, json, -1, sqlite3_free);
  else sqlite3_result_error_nomem(context);
}

/* ---- loading ----------------------------------------------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; int argc; void (*call)(sqlite3_context*, int, sqlite3_value**); } functions[] = {
  { "tandem_slot", 0, fn_slot },  /* the first, since the slot goes with it */
  { "tandem_budget", 1, fn_budget }, { "tandem_begin", 2, fn_begin }, { "tandem_end", 0, fn_end }, { "tandem_cancel", 2, fn_cancel },
  { "tandem_busy", 0, fn_busy }, { "tandem_length", 1, fn_length }, { "tandem_memory", 0, fn_memory },
  { "tandem_trim", 0, fn_trim }, { "tandem_anon", 0, fn_anon }, { "tandem_heap_limit", 1, fn_heap_limit }, { "tandem_wal", 0, fn_wal },
  { "tandem_deferred", 0, fn_deferred }, { "tandem_stats", 0, fn_stats }
};

/* Takes a slot, and starts the ticker with the first one. The registry is locked. *problem says why there is no slot. */
static Slot *join(sqlite3 *db, const sqlite3_api_routines *api, const char **problem){
  if( sqlite3_api!=api && atomic_load(&slotsInUse)>0 ){
    *problem = "another copy of SQLite in this process uses it";
    return NULL;
  }
  if( sqlite3_api!=api ) SQLITE_EXTENSION_INIT2(api);
  *problem = "no memory, or no thread";
  Slot *s = take_slot(db);
  if( s && tickers==0 && (tickers = start_ticker())!=0 ) tune_malloc();
  return tickers ? s : NULL;
}

/*
** An error unloads the library, so there is none after the ticker was started or a function was made: then the library must stay where it is. Functions that could
** not be made, for want of memory, are missed by whoever calls them.
*/
EXPORT int sqlite3_watchdog_init(sqlite3 *db, char **error, const sqlite3_api_routines *api){
  const char *problem = "SQLite 3.51 or newer is needed";
  Slot *s = NULL;
  if( api->libversion_number()>=3051000 ){
    if( api->get_clientdata(db, "tandem")!=NULL ) return SQLITE_OK_LOAD_PERMANENTLY;
    lock(&registryLock);
    s = join(db, api, &problem);
    unlock(&registryLock);
  }
  if( s==NULL ){
    *error = api->mprintf("watchdog: %s", problem);
    return SQLITE_ERROR;
  }
  for(unsigned i = 0; i<sizeof functions/sizeof functions[0]; i++){
    void (*destroy)(void*) = i==0 ? release_slot : NULL;  /* is called, too, if the function cannot be made */
    int rc = sqlite3_create_function_v2(db, functions[i].name, functions[i].argc, SQLITE_UTF8|SQLITE_DIRECTONLY, s, functions[i].call, NULL, NULL, destroy);
    if( rc!=SQLITE_OK ) return SQLITE_OK_LOAD_PERMANENTLY;
  }
  sqlite3_trace_v2(db, SQLITE_TRACE_STMT|SQLITE_TRACE_PROFILE, on_trace, s);
  /* Plans do not look at the values of parameters. In a build with STAT4, as that of better-sqlite3, they do, and every statement that could have another plan for another
  ** value, a join of two tables is enough, is compiled anew each time that it is run with new ones: 14 of the 16 us of a point read. */
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, (int*)0);
  sqlite3_set_clientdata(db, "tandem", s, NULL);
  return SQLITE_OK_LOAD_PERMANENTLY;
}
