/*
 * What is allocated and what became of the rest. Each JavaScript thread counts in a place of its
 * own, with plain loads and stores: atomic additions to shared counters cost a fifth of a small
 * allocation, and much more between threads.
 *
 * Live bytes are needed as a total, for the peak and the limit: a thread keeps what it has added
 * that it has not published to the others, and publishes at the latest after PENDING_BYTES.
 */
#include "internal.h"

#define PENDING_BYTES ((int64_t)64 << 10)
#define CACHE_LINE 64 /* two threads never write to the same one */

/* cslice_reuse_account. JavaScript writes all but the capacity: doubles, since those are what it
 * reads and writes fast. */
typedef struct account {
    _Atomic double released;
    _Atomic double taken;
    _Atomic double bytes;
    _Atomic double capacity;
} account;

_Static_assert(sizeof(account) == 4 * sizeof(double), "JavaScript sees an array of doubles");

typedef struct counters {
    account reuse_account;
    atomic_uint_fast64_t allocated;
    atomic_uint_fast64_t ended[CSLICE__ENDS];
    atomic_int_fast64_t class_blocks[CSLICE__CLASSES];
    atomic_int_fast64_t class_bytes[CSLICE__CLASSES];
    atomic_int_fast64_t pending;               /* bytes, those on the free list included */
    atomic_int_fast64_t published_reuse_bytes; /* what the free list had at the last publication */
    int64_t most_pending; /* the highest that the pending bytes have been since */
    struct counters *next;
} counters;

static struct {
    atomic_uint_fast64_t limit; /* 0: none */
    atomic_uint_fast64_t
        reuse; /* bytes that the free list of each thread may keep while there is no limit */
    atomic_uint_fast64_t claimed_bytes; /* allocations under way, where there is a limit */
    atomic_int_fast64_t live_bytes;
    atomic_uint_fast64_t peak_bytes;
    atomic_uint_fast64_t lost;
    atomic_uint_fast64_t failed;
    atomic_int_fast64_t due_blocks;
    atomic_int_fast64_t due_bytes;
    atomic_int_fast64_t waiting_blocks;
    atomic_int_fast64_t waiting_bytes;
} totals = {.reuse = CSLICE__REUSE_BYTES};

static cslice__mutex mutex = CSLICE__MUTEX_INIT; /* guards the list */
static counters others; /* of threads without counters of their own, and of those that have ended;
                           first of the list */
static _Thread_local counters *mine;

static uint64_t get(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void add_signed(atomic_int_fast64_t *counter, int64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static int64_t get_signed(const atomic_int_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Threads that count at the same moment may make a sum negative that is none. */
static uint64_t natural(int64_t sum) {
    return sum > 0 ? (uint64_t)sum : 0;
}

static double read_double(const _Atomic double *number) {
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void raise_peak(int64_t live) {
    uint_fast64_t peak = get(&totals.peak_bytes);
    while (live > 0 && (uint64_t)live > peak &&
           !atomic_compare_exchange_weak_explicit(&totals.peak_bytes, &peak, (uint64_t)live,
                                                  memory_order_relaxed, memory_order_relaxed)) {}
}

/* What the total of live bytes lacks of this thread: blocks on the free list are not live. */
static int64_t pending_of(const counters *own) {
    return atomic_load_explicit(&own->pending, memory_order_relaxed) +
        atomic_load_explicit(&own->published_reuse_bytes, memory_order_relaxed) -
        (int64_t)read_double(&own->reuse_account.bytes);
}

static void publish(counters *own) {
    int64_t pending = pending_of(own);
    if (pending > own->most_pending) own->most_pending = pending;
    int64_t before = atomic_fetch_add_explicit(&totals.live_bytes, pending, memory_order_relaxed);
    raise_peak(before + own->most_pending);
    atomic_store_explicit(&own->pending, 0, memory_order_relaxed);
    atomic_store_explicit(&own->published_reuse_bytes,
                          (int64_t)read_double(&own->reuse_account.bytes), memory_order_relaxed);
    own->most_pending = 0;
}

/* Thread-local variables are looked up by a call, so each function here asks once and hands the
 * answer on. */
static void add_bytes(counters *own, int64_t bytes) {
    if (own == NULL) {
        int64_t before = atomic_fetch_add_explicit(&totals.live_bytes, bytes, memory_order_relaxed);
        if (bytes > 0) raise_peak(before + bytes);
        return;
    }
    int64_t before = pending_of(own), pending = before + bytes;
    int64_t higher =
        bytes < 0 ? before : pending; /* before: JavaScript may have taken from the free list */
    if (higher > own->most_pending) own->most_pending = higher;
    atomic_store_explicit(&own->pending,
                          atomic_load_explicit(&own->pending, memory_order_relaxed) + bytes,
                          memory_order_relaxed);
    if (pending > PENDING_BYTES || pending < -PENDING_BYTES || get(&totals.limit) != 0)
        publish(own);
}

static void add_own(atomic_uint_fast64_t *counter) {
    atomic_store_explicit(counter, get(counter) + 1,
                          memory_order_relaxed); /* nobody else writes it */
}

static void set_capacity(counters *own) {
    double capacity = get(&totals.limit) == 0 ? (double)get(&totals.reuse) : 0;
    atomic_store_explicit(&own->reuse_account.capacity, capacity, memory_order_relaxed);
}

static void set_capacities(void) {
    cslice__mutex_lock(&mutex);
    for (counters *each = others.next; each != NULL; each = each->next) set_capacity(each);
    cslice__mutex_unlock(&mutex);
}

void cslice__counts_open(void) {
    mine = cslice__mem_alloc(sizeof *mine, CACHE_LINE, true);
    if (mine == NULL) return; /* the thread then counts among the others */
    cslice__mutex_lock(&mutex);
    set_capacity(mine);
    mine->next = others.next;
    others.next = mine;
    cslice__mutex_unlock(&mutex);
}

static void unlink_from(counters *list, const counters *own) {
    while (list->next != own) list = list->next;
    list->next = own->next;
}

void cslice__counts_close(void) {
    counters *own = mine;
    if (own == NULL) return;
    mine = NULL;
    uint64_t released = (uint64_t)read_double(&own->reuse_account.released);
    uint64_t taken = (uint64_t)read_double(&own->reuse_account.taken);
    cslice__mutex_lock(&mutex);
    publish(own);
    /* What JavaScript has kept was released before; V8 ends it in a moment, with all else that the
       thread had. Until then it is counted as live again, which is no peak. */
    atomic_fetch_add_explicit(&totals.live_bytes, (int64_t)read_double(&own->reuse_account.bytes),
                              memory_order_relaxed);
    add(&others.allocated, get(&own->allocated) + taken);
    for (int end = 0; end < CSLICE__ENDS; end++) add(&others.ended[end], get(&own->ended[end]));
    for (int of = 0; of < CSLICE__CLASSES; of++) {
        add_signed(&others.class_blocks[of], get_signed(&own->class_blocks[of]));
        add_signed(&others.class_bytes[of], get_signed(&own->class_bytes[of]));
    }
    add(&others.ended[CSLICE__BY_SCOPE], released);
    add(&others.ended[CSLICE__BY_THREAD_END],
        taken - released); /* less: unsigned numbers wrap, until V8 has ended them */
    unlink_from(&others, own);
    cslice__mutex_unlock(&mutex);
    cslice__mem_free_aligned(own, CACHE_LINE);
}

void cslice__counts_allocated(size_t size) {
    counters *own = mine;
    if (own == NULL) {
        add(&others.allocated, 1);
    } else {
        add_own(&own->allocated);
    }
    add_bytes(own, (int64_t)size);
}

void cslice__counts_ended(size_t size, cslice__end end) {
    counters *own = mine;
    if (own == NULL) {
        add(&others.ended[end], 1);
    } else {
        add_own(&own->ended[end]);
    }
    add_bytes(own, -(int64_t)size);
}

void cslice__counts_resized(size_t before, size_t after) {
    add_bytes(mine, (int64_t)after - (int64_t)before);
}

static void add_to(counters *own, atomic_int_fast64_t *counter, int64_t n) {
    if (own == NULL) {
        add_signed(counter, n);
    } else {
        atomic_store_explicit(counter, get_signed(counter) + n, memory_order_relaxed);
    }
}

void cslice__counts_class(cslice__class of, int count, size_t size) {
    counters *own = mine, *where = own == NULL ? &others : own;
    add_to(own, &where->class_blocks[of], count);
    add_to(own, &where->class_bytes[of], count * (int64_t)size);
}

void cslice__counts_due(int count, size_t size) {
    add_signed(&totals.due_blocks, count);
    add_signed(&totals.due_bytes, count * (int64_t)size);
}

void cslice__counts_waiting(int count, size_t size) {
    add_signed(&totals.waiting_blocks, count);
    add_signed(&totals.waiting_bytes, count * (int64_t)size);
}

int cslice__counts_claim(size_t size, size_t *claimed) {
    *claimed = 0;
    uint64_t limit = get(&totals.limit);
    if (limit == 0) return 0;
    if (mine != NULL) publish(mine);
    uint_fast64_t pending = get(&totals.claimed_bytes);
    do {
        int64_t live = atomic_load_explicit(&totals.live_bytes, memory_order_relaxed);
        uint64_t taken = (live > 0 ? (uint64_t)live : 0) + pending;
        if (taken > limit || size > limit - taken) return CSLICE_ELIMIT;
    } while (!atomic_compare_exchange_weak_explicit(&totals.claimed_bytes, &pending, pending + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    *claimed = size;
    return 0;
}

void cslice__counts_unclaim(size_t claimed) {
    if (claimed != 0)
        atomic_fetch_sub_explicit(&totals.claimed_bytes, claimed, memory_order_relaxed);
}

void cslice_limit_set(uint64_t bytes) {
    if (mine != NULL) publish(mine);
    atomic_store_explicit(&totals.limit, bytes, memory_order_relaxed);
    set_capacities(); /* a block that is taken without a call into C cannot be refused */
}

void cslice_reuse_set(uint64_t bytes) {
    atomic_store_explicit(&totals.reuse, bytes, memory_order_relaxed);
    set_capacities();
    cslice__cache_set(bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes);
}

int64_t cslice_reuse_account(void) {
    return (int64_t)(uintptr_t)(mine == NULL ? NULL : &mine->reuse_account);
}

void cslice_count_failure(void) {
    add(&totals.failed, 1);
}

void cslice__counts_lost(uint64_t count) {
    add(&totals.lost, count);
}

void cslice_statistics_get(cslice_statistics *statistics) {
    uint64_t ended[CSLICE__ENDS] = {0}, all_ended = 0, allocated = 0;
    int64_t class_blocks[CSLICE__CLASSES] = {0}, class_bytes[CSLICE__CLASSES] = {0};
    double free_list = 0;
    if (mine != NULL) publish(mine);
    cslice__mutex_lock(&mutex);
    /* What has ended before what is allocated, which so is never the smaller. */
    for (const counters *each = &others; each != NULL; each = each->next) {
        for (int end = 0; end < CSLICE__ENDS; end++) ended[end] += get(&each->ended[end]);
        ended[CSLICE__BY_SCOPE] += (uint64_t)read_double(&each->reuse_account.released);
    }
    int64_t live = atomic_load_explicit(&totals.live_bytes, memory_order_relaxed);
    for (const counters *each = &others; each != NULL; each = each->next) {
        allocated += get(&each->allocated) + (uint64_t)read_double(&each->reuse_account.taken);
        live += pending_of(each);
        free_list += read_double(&each->reuse_account.bytes);
        for (int of = 0; of < CSLICE__CLASSES; of++) {
            class_blocks[of] += get_signed(&each->class_blocks[of]);
            class_bytes[of] += get_signed(&each->class_bytes[of]);
        }
    }
    cslice__mutex_unlock(&mutex);
    for (int end = 0; end < CSLICE__ENDS; end++) all_ended += ended[end];
    *statistics = (cslice_statistics){
        .live_blocks = allocated - all_ended,
        .live_bytes = natural(live),
        .peak_bytes = get(&totals.peak_bytes),
        .allocated_blocks = allocated,
        .released_by_scope = ended[CSLICE__BY_SCOPE],
        .released_by_collection = ended[CSLICE__BY_COLLECTION],
        .released_by_thread_end =
            ended[CSLICE__BY_THREAD_END] > INT64_MAX ? 0 : ended[CSLICE__BY_THREAD_END],
        .released_by_c = ended[CSLICE__BY_C],
        .disowned_blocks = ended[CSLICE__DISOWNED],
        .lost_destructors = get(&totals.lost),
        .failed_destructors = get(&totals.failed),
        .adopted_blocks = natural(class_blocks[CSLICE__ADOPTED]),
        .adopted_bytes = natural(class_bytes[CSLICE__ADOPTED]),
        .attached_blocks = natural(class_blocks[CSLICE__ATTACHED]),
        .attached_bytes = natural(class_bytes[CSLICE__ATTACHED]),
        .free_list_bytes = free_list > 0 ? (uint64_t)free_list : 0,
        .cache_bytes = cslice__cache_bytes(),
        .reclaim_bytes = cslice__reclaim_bytes(),
        .due_blocks = natural(get_signed(&totals.due_blocks)),
        .due_bytes = natural(get_signed(&totals.due_bytes)),
        .waiting_blocks = natural(get_signed(&totals.waiting_blocks)),
        .waiting_bytes = natural(get_signed(&totals.waiting_bytes)),
    };
}
