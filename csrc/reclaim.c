/*
 * Frees large blocks on a thread of its own: the kernel takes milliseconds to unmap them, in which
 * an event loop would stand still. Only memory of this library's allocator comes here; a foreign
 * destructor may count on its thread.
 *
 * The queue is bounded by number and by bytes. What does not fit is freed by the caller, so that a
 * loop that makes and releases large blocks never has more memory waiting than MOST_BYTES.
 */
#include "internal.h"

#include <signal.h>

#define MOST_BLOCKS 64
#define MOST_BYTES ((size_t)256 << 20) /* unless nothing waits: then one block of any size */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
    void *memory;
    size_t size;
} queue[MOST_BLOCKS];
static unsigned first;
static unsigned waiting;
static size_t waiting_bytes; /* with the one that is being freed */
static pthread_t thread;
static enum { IDLE, RUNNING, STOPPING, UNUSABLE } state;

static void free_first(void) {
    void *memory = queue[first].memory;
    size_t size = queue[first].size;
    first = (first + 1) % MOST_BLOCKS;
    waiting--;
    pthread_mutex_unlock(&mutex);
    cslice__mem_free(memory);
    pthread_mutex_lock(&mutex);
    waiting_bytes -= size;
    pthread_cond_broadcast(&changed);
}

static void *run(void *unused) {
    (void)unused;
    pthread_mutex_lock(&mutex);
    while (state == RUNNING || waiting != 0) {
        if (waiting == 0) {
            pthread_cond_wait(&changed, &mutex);
        } else {
            free_first();
        }
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

/* A forked child has this file's state, and not its thread. It frees for itself; what waited is its
 * parent's. */
static void after_fork(void) {
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&changed, NULL);
    waiting = 0;
    waiting_bytes = 0;
    state = UNUSABLE;
}

/* Signals stay with the threads of the program. */
static void start(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    state = started ? RUNNING : UNUSABLE;
    if (started) pthread_atfork(NULL, NULL, after_fork);
}

static bool enqueue(void *memory, size_t size) {
    if (state == IDLE) start();
    if (state != RUNNING || waiting == MOST_BLOCKS) return false;
    size_t room = waiting_bytes < MOST_BYTES ? MOST_BYTES - waiting_bytes : 0;
    if (waiting_bytes != 0 && size > room) return false;
    unsigned last = (first + waiting++) % MOST_BLOCKS;
    queue[last].memory = memory;
    queue[last].size = size;
    waiting_bytes += size;
    pthread_cond_broadcast(&changed);
    return true;
}

void cslice__reclaim_free(void *memory, size_t size) {
    pthread_mutex_lock(&mutex);
    bool taken = enqueue(memory, size);
    pthread_mutex_unlock(&mutex);
    if (!taken) cslice__mem_free(memory);
}

size_t cslice__reclaim_bytes(void) {
    pthread_mutex_lock(&mutex);
    size_t bytes = waiting_bytes;
    pthread_mutex_unlock(&mutex);
    return bytes;
}

void cslice__reclaim_wait(void) {
    pthread_mutex_lock(&mutex);
    while (state == RUNNING && waiting_bytes != 0) pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
}

/* At the end of the process, and where the library is unloaded after all. */
__attribute__((destructor)) static void stop(void) {
    pthread_mutex_lock(&mutex);
    bool running = state == RUNNING;
    state = running ? STOPPING : UNUSABLE;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    if (running) pthread_join(thread, NULL);
}
