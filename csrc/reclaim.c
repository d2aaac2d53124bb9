/*
 * Frees large blocks on a thread of its own: the kernel takes milliseconds to unmap them, in which
 * an event loop would stand still. Only memory of this library's allocator comes here; a foreign
 * destructor may count on its thread.
 *
 * The queue is bounded by number and by bytes. What does not fit is freed by the caller, so that a
 * loop that makes and releases large blocks never has more memory waiting than MOST_BYTES.
 */
#include "internal.h"

#define MOST_BLOCKS 64
#define MOST_BYTES ((size_t)256 << 20) /* unless nothing waits: then one block of any size */

static cslice__mutex mutex = CSLICE__MUTEX_INIT;
static cslice__condition changed = CSLICE__CONDITION_INIT;
static struct {
    void *memory;
    size_t size, alignment;
} queue[MOST_BLOCKS];
static unsigned first;
static unsigned waiting;
static size_t waiting_bytes; /* with the one that is being freed */
static cslice__thread_handle thread;
static atomic_uint process; /* that has the thread */
static enum { IDLE, RUNNING, STOPPING, UNUSABLE } state;

static void free_first(void) {
    void *memory = queue[first].memory;
    size_t size = queue[first].size, alignment = queue[first].alignment;
    first = (first + 1) % MOST_BLOCKS;
    waiting--;
    cslice__mutex_unlock(&mutex);
    cslice__mem_free_aligned(memory, alignment);
    cslice__mutex_lock(&mutex);
    waiting_bytes -= size;
    cslice__condition_tell(&changed);
}

static void run(void) {
    cslice__mutex_lock(&mutex);
    while (state == RUNNING || waiting != 0) {
        if (waiting == 0) {
            cslice__condition_wait(&changed, &mutex);
        } else {
            free_first();
        }
    }
    cslice__mutex_unlock(&mutex);
}

/* A forked child has this file's state and not its thread, and the lock may be held for ever: it
 * frees for itself. What waited is its parent's. */
static bool is_forked(void) {
    unsigned starter = atomic_load_explicit(&process, memory_order_relaxed);
    return starter != 0 && starter != cslice__process();
}

static void start(void) {
    atomic_store_explicit(&process, cslice__process(), memory_order_relaxed);
    state = cslice__thread_start(&thread, run) ? RUNNING : UNUSABLE;
}

static bool enqueue(void *memory, size_t size, size_t alignment) {
    if (state == IDLE) start();
    if (state != RUNNING || waiting == MOST_BLOCKS) return false;
    size_t room = waiting_bytes < MOST_BYTES ? MOST_BYTES - waiting_bytes : 0;
    if (waiting_bytes != 0 && size > room) return false;
    unsigned last = (first + waiting++) % MOST_BLOCKS;
    queue[last].memory = memory;
    queue[last].size = size;
    queue[last].alignment = alignment;
    waiting_bytes += size;
    cslice__condition_tell(&changed);
    return true;
}

static bool offer(void *memory, size_t size, size_t alignment) {
    if (is_forked()) return false;
    cslice__mutex_lock(&mutex);
    bool taken = enqueue(memory, size, alignment);
    cslice__mutex_unlock(&mutex);
    return taken;
}

void cslice__reclaim_free(void *memory, size_t size, size_t alignment) {
    if (!offer(memory, size, alignment)) cslice__mem_free_aligned(memory, alignment);
}

size_t cslice__reclaim_bytes(void) {
    if (is_forked()) return 0;
    cslice__mutex_lock(&mutex);
    size_t bytes = waiting_bytes;
    cslice__mutex_unlock(&mutex);
    return bytes;
}

void cslice__reclaim_wait(void) {
    if (is_forked()) return;
    cslice__mutex_lock(&mutex);
    while (state == RUNNING && waiting_bytes != 0) cslice__condition_wait(&changed, &mutex);
    cslice__mutex_unlock(&mutex);
}

CSLICE__AT_END static void stop(void) {
    if (is_forked()) return;
    cslice__mutex_lock(&mutex);
    bool running = state == RUNNING;
    state = running ? STOPPING : UNUSABLE;
    cslice__condition_tell(&changed);
    cslice__mutex_unlock(&mutex);
    if (running) cslice__thread_join(thread);
}
