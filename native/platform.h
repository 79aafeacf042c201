/*
** What watchdog.c needs of a system: a clock, one thread that can rest and be woken, and what the allocator can be asked for. Nothing here knows SQLite. In order,
** for Windows and then for the others:
**
**   now_ns()         a clock that only goes forward
**   nap(ns)          sleeps
**   give_way()       lets another thread run
**   start_ticker()   starts tick() as a thread; false if there can be none. Before that there is no clock, no ring() and no rest_until()
**   ring()           ends rest_until(), the current or the next one
**   rest_until(t)    waits until then; true if somebody rang
**   tune_malloc()    makes the allocator give memory back by itself, as far as it can be told to
**   trim_malloc()    makes it give back what is free now; false if no way to do that is known
**   anon_bytes()     anonymous memory of the process that is resident; -1 if unknown
**
** A binary for glibc need not be one for musl, but may: what only glibc has is weak.
*/
#include <limits.h>

typedef long long i64;

#define MS    ((i64)1000000)    /* in nanoseconds, as all times here */
#define NEVER LLONG_MAX

static void tick(void);

#ifdef _WIN32
# define WIN32_LEAN_AND_MEAN
# include <windows.h>
# define EXPORT __declspec(dllexport)

static HANDLE bell, timer;
static LARGE_INTEGER frequency;

static i64 now_ns(void){
  LARGE_INTEGER count;
  QueryPerformanceCounter(&count);
  return count.QuadPart/frequency.QuadPart*1000*MS + count.QuadPart%frequency.QuadPart*1000*MS/frequency.QuadPart;
}

static void nap(i64 ns){ Sleep((DWORD)((ns+MS-1)/MS)); }
static void give_way(void){ SwitchToThread(); }

static DWORD WINAPI run_ticker(void *unused){ tick(); return 0; }

static int start_ticker(void){
  QueryPerformanceFrequency(&frequency);
  bell = CreateEventW(NULL, FALSE, FALSE, NULL);
  timer = CreateWaitableTimerExW(NULL, NULL, 2 /* high resolution, since Windows 10 1803; otherwise it is late by up to 16 ms */, TIMER_ALL_ACCESS);
  if( timer==NULL ) timer = CreateWaitableTimerW(NULL, FALSE, NULL);
  HANDLE thread = bell && timer ? CreateThread(NULL, 0, run_ticker, NULL, 0, NULL) : NULL;
  return thread!=NULL && CloseHandle(thread);
}

static void ring(void){ SetEvent(bell); }

static int rest_until(i64 time){
  HANDLE both[] = { bell, timer };
  LARGE_INTEGER in;
  if( time==NEVER ) return WaitForSingleObject(bell, INFINITE)==WAIT_OBJECT_0;
  in.QuadPart = -((time-now_ns())/100);
  if( in.QuadPart>=0 ) return 0;
  SetWaitableTimer(timer, &in, 0, NULL, NULL, FALSE);
  return WaitForMultipleObjects(2, both, FALSE, INFINITE)==WAIT_OBJECT_0;
}

static void tune_malloc(void){}
static int trim_malloc(void){ HeapCompact(GetProcessHeap(), 0); return 1; }
static i64 anon_bytes(void){ return -1; }

#else
# include <fcntl.h>
# include <pthread.h>
# include <sched.h>
# include <signal.h>
# include <time.h>
# include <unistd.h>
# define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t bellMutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell;
static int isRung;

static i64 now_ns(void){
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec*1000*MS + t.tv_nsec;
}

static struct timespec timespec_of(i64 ns){
  struct timespec t = { .tv_sec = (time_t)(ns/(1000*MS)), .tv_nsec = (long)(ns%(1000*MS)) };
  return t;
}

static void nap(i64 ns){
  struct timespec t = timespec_of(ns);
  nanosleep(&t, NULL);
}

static void give_way(void){ sched_yield(); }

static void *run_ticker(void *unused){ tick(); return NULL; }

static int start_ticker(void){
  pthread_condattr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  pthread_condattr_init(&attributes);
# ifndef __APPLE__
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
# endif
  pthread_cond_init(&bell, &attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  /* signals are for the threads of the program */
  int rc = pthread_create(&thread, NULL, run_ticker, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc==0 && pthread_detach(thread)==0;
}

static void ring(void){
  pthread_mutex_lock(&bellMutex);
  isRung = 1;
  pthread_cond_signal(&bell);
  pthread_mutex_unlock(&bellMutex);
}

static void wait_for_bell(i64 time, i64 now){
  struct timespec t;
  if( time==NEVER ){
    pthread_cond_wait(&bell, &bellMutex);
    return;
  }
# ifdef __APPLE__
  t = timespec_of(time-now);
  pthread_cond_timedwait_relative_np(&bell, &bellMutex, &t);
# else
  t = timespec_of(time);
  pthread_cond_timedwait(&bell, &bellMutex, &t);
# endif
}

static int rest_until(i64 time){
  i64 now;
  pthread_mutex_lock(&bellMutex);
  while( !isRung && (now = now_ns())<time ) wait_for_bell(time, now);
  int wasRung = isRung;
  isRung = 0;
  pthread_mutex_unlock(&bellMutex);
  return wasRung;
}

# ifdef __linux__
extern int malloc_trim(size_t) __attribute__((weak));
extern int mallopt(int, int) __attribute__((weak));
static int statm = -1;

/* Without limits that are set, glibc uses its heaps for larger and larger blocks, and keeps the upper end of each thread's for good. */
static void tune_malloc(void){
  if( mallopt ) mallopt(-3 /* M_MMAP_THRESHOLD */, 256*1024);
  if( mallopt ) mallopt(-1 /* M_TRIM_THRESHOLD */, 128*1024);
  statm = open("/proc/self/statm", O_RDONLY|O_CLOEXEC);
}

static int trim_malloc(void){
  if( malloc_trim ) malloc_trim(0);
  return malloc_trim!=NULL;
}

/* The file holds "size resident shared ...", in pages. */
static i64 anon_bytes(void){
  char text[128];
  i64 pages[3] = { 0, 0, 0 };
  ssize_t n = statm<0 ? 0 : pread(statm, text, sizeof text, 0);
  for(ssize_t i = 0, field = 0; i<n && field<3; i++){
    if( text[i]==' ' ) field++;
    else pages[field] = pages[field]*10 + (text[i]-'0');
  }
  return n>0 ? (pages[1]-pages[2])*sysconf(_SC_PAGESIZE) : -1;
}

# else
#  include <malloc/malloc.h>

static void tune_malloc(void){}
static int trim_malloc(void){ malloc_zone_pressure_relief(NULL, 0); return 1; }
static i64 anon_bytes(void){ return -1; }
# endif
#endif
