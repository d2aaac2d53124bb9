/*
 * Threads that run JavaScript, each with its counters, cache and mailbox, work at random on buffers
 * and on blocks that they exchange, while threads of V8's drop what is collected. In the end no
 * block lives and each destructor has run once, in the right thread. The sanitizers watch: every
 * thread writes to a block while it holds a reference, and the destructor reads all of that.
 *
 * Arguments: the seed and the steps in one life of a thread, both optional.
 */
#include "support.h"

#include <sched.h>
#include <time.h>

enum {
    THREADS = 4,
    SWEEPERS = 2,
    LIVES = 4,
    BUFFERS = 16,
    SHARED = 32,
    DEAD = 64,
    MOST_STEPS = 20000,
    LIMIT = 60000
};

typedef struct worker worker;

typedef struct payload {
    atomic_int ended;
    worker *home; /* its destructor runs in this thread, in this life of it, or anywhere once that
                     life is over */
    int life;
    int64_t number; /* of a JavaScript destructor */
    unsigned char marks[THREADS];
} payload;

struct worker {
    unsigned index;
    uint32_t random;
    cslice_block *buffers[BUFFERS];
    cslice__mailbox *mailbox;
    double due;
    payload *payloads;
    uint32_t payload_count;
    atomic_int lives_ended;
    atomic_uint_fast64_t disowned; /* JavaScript destructors, by any thread */
    uint64_t callbacks_made, callbacks_taken;
};

static worker workers[THREADS];
static _Thread_local worker *mine;
static _Atomic(cslice_block *) shared[SHARED]; /* bytes that travel, and references of C's */
static _Atomic(cslice_block *) dead[DEAD];     /* collected, for V8's threads to end */
static atomic_bool sweeping = true;
static uint32_t steps = 1500;

static uint32_t pick(worker *self, uint32_t below) {
    self->random ^= self->random << 13;
    self->random ^= self->random >> 17;
    self->random ^= self->random << 5;
    return self->random % below;
}

static void end_payload(payload *owned) {
    CHECK(owned->home == NULL || owned->home == mine ||
          atomic_load(&owned->home->lives_ended) > owned->life);
    unsigned sum = 0;
    for (int i = 0; i < THREADS; i++) sum += owned->marks[i];
    CHECK(sum <= THREADS * 255);
    CHECK_EQUAL(atomic_fetch_add(&owned->ended, 1), 0);
}

static void end_ptr_payload(void *data) {
    end_payload(data);
}

static void end_ptr_size_payload(void *data, size_t size) {
    CHECK_EQUAL(size, sizeof(payload));
    end_payload(data);
}

static void end_ctx_ptr_payload(void *context, void *data) {
    CHECK(context == data);
    end_payload(data);
}

static void end_free_payload(void *data, size_t size, void *context) {
    CHECK(context == data && size == sizeof(payload));
    end_payload(data);
}

static payload *next_payload(worker *self, bool at_home) {
    CHECK(self->payload_count < MOST_STEPS * LIVES);
    payload *owned = &self->payloads[self->payload_count++];
    owned->number = self->payload_count;
    owned->life = atomic_load(&self->lives_ended);
    owned->home = at_home ? self : NULL;
    return owned;
}

static unsigned char *marks_of(const cslice_block *block) {
    if (block->kind == CSLICE__HEAP) return cslice_block_data(block);
    return ((payload *)cslice_block_data(block))->marks;
}

static void mark(const worker *self, const cslice_block *block) {
    marks_of(block)[self->index]++;
}

static cslice_block *make_heap(worker *self) {
    cslice_block *block = NULL;
    size_t size = THREADS + pick(self, 8) * (size_t)(pick(self, 8) == 0 ? 900 : 70);
    int status = pick(self, 3) == 0
        ? cslice_block_new(size, &block)
        : cslice__block_alloc(size, (size_t)1 << pick(self, 8), true, &block);
    CHECK(status == 0 || status == CSLICE_ELIMIT);
    if (block != NULL) CHECK(all_zero(block->data, size));
    return block;
}

static cslice_block *make_native(worker *self) {
    static const cslice__kind kinds[] = {CSLICE__PTR, CSLICE__PTR_SIZE, CSLICE__CTX_PTR,
                                         CSLICE__FREE_FUNCTION};
    uint64_t functions[] = {FUNCTION(end_ptr_payload), FUNCTION(end_ptr_size_payload),
                            FUNCTION(end_ctx_ptr_payload), FUNCTION(end_free_payload)};
    uint32_t which = pick(self, 4);
    bool anywhere = pick(self, 3) == 0;
    payload *owned = next_payload(self, !anywhere);
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_adopt(kinds[which], owned, sizeof *owned, (uintptr_t)functions[which],
                                    owned, anywhere ? NULL : self->mailbox, &block),
                0);
    return block;
}

static cslice_block *make_callback(worker *self) {
    payload *owned = next_payload(self, true);
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_adopt(CSLICE__CALLBACK, owned, sizeof *owned,
                                    (uintptr_t)owned->number, NULL, self->mailbox, &block),
                0);
    self->callbacks_made++;
    return block;
}

static cslice_block *make_clone(worker *self) {
    const cslice_block *from = self->buffers[pick(self, BUFFERS)];
    cslice_block *block = NULL;
    if (from == NULL || !cslice__block_is_renewable(from)) return NULL;
    int status = cslice__block_clone(from, THREADS + pick(self, 2000), &block);
    CHECK(status == 0 || status == CSLICE_ELIMIT);
    return block;
}

static cslice_block *make_reference(worker *self) {
    cslice_block *from = self->buffers[pick(self, BUFFERS)];
    return from == NULL ? NULL : cslice_block_ref(from);
}

static void fill(worker *self, uint32_t i) {
    static cslice_block *(*const makers[])(worker *) = {make_heap,     make_heap,  make_native,
                                                        make_callback, make_clone, make_reference};
    self->buffers[i] = makers[pick(self, sizeof makers / sizeof *makers)](self);
    if (self->buffers[i] != NULL) mark(self, self->buffers[i]);
}

static void release(cslice_block *block) {
    cslice__thread_releasing(true);
    cslice__block_unref(block, cslice__thread_end_reason());
    cslice__thread_releasing(false);
}

static void disown(cslice_block *block) {
    payload *owned = block->kind == CSLICE__HEAP ? NULL : cslice_block_data(block);
    void *data = cslice_block_data(block);
    if (cslice__block_is_disownable(block)) {
        int64_t number = cslice__block_disown(block, NULL);
        if (number != 0) {
            CHECK_EQUAL(number, owned->number);
            atomic_fetch_add(&owned->home->disowned, 1); /* nobody will hear of it */
        }
        if (owned != NULL) {
            owned->home = NULL; /* it is C's to end anywhere */
            end_payload(owned);
        } else {
            free(data);
        }
    }
    release(block);
}

/* A collected buffer is ended by whoever of V8's threads comes by. */
static void collect(worker *self, cslice_block *block) {
    block = atomic_exchange(&dead[pick(self, DEAD)], block);
    if (block != NULL) cslice__block_unref(block, cslice__thread_end_reason());
}

static void empty(worker *self, uint32_t i) {
    cslice_block *block = self->buffers[i];
    mark(self, block);
    self->buffers[i] = NULL;
    switch (pick(self, 4)) {
    case 0: disown(block); break;
    case 1: release(block); break;
    default: collect(self, block);
    }
}

static void use_buffer(worker *self) {
    uint32_t i = pick(self, BUFFERS);
    if (self->buffers[i] == NULL) {
        fill(self, i);
    } else {
        empty(self, i);
    }
}

static void resize_or_renew(worker *self) {
    cslice_block *block = self->buffers[pick(self, BUFFERS)];
    if (block == NULL || !cslice__block_is_renewable(block)) return;
    if (pick(self, 2) == 0) {
        int64_t address = cslice__block_resize(block, THREADS + pick(self, 1500));
        CHECK(address > 0 || address == CSLICE_ELIMIT);
    } else {
        CHECK_EQUAL(cslice_blocks_renew(&(double){(double)(uintptr_t)block}, 1), 0);
        CHECK(all_zero(block->data, block->size));
    }
    mark(self, block);
}

/* One reference goes into the place; what was there comes out, and becomes a buffer, is left to
 * others or dropped. */
static void exchange(worker *self) {
    uint32_t i = pick(self, BUFFERS);
    cslice_block *block = self->buffers[i] == NULL ? NULL : cslice_block_ref(self->buffers[i]);
    block = atomic_exchange(&shared[pick(self, SHARED)], block);
    if (block == NULL) return;
    mark(self, block);
    for (uint32_t more = pick(self, 3); more > 0; more--) {
        cslice_block *pushed_out =
            atomic_exchange(&shared[pick(self, SHARED)], cslice_block_ref(block));
        cslice_block_unref(pushed_out);
    }
    mark(self, block);
    if (self->buffers[i] == NULL) {
        self->buffers[i] = block;
    } else {
        cslice_block_unref(block);
    }
}

static void take_due(worker *self) {
    for (int64_t number; (number = cslice_due_next(ADDRESS(self->mailbox))) != 0;) {
        CHECK(number > 0 && number <= self->payload_count);
        end_payload(&self->payloads[number - 1]);
        self->callbacks_taken++;
    }
}

static void delay(worker *self) {
    struct timespec pause = {0, (long)pick(self, 50000)};
    if (pick(self, 8) != 0) {
        sched_yield();
    } else {
        nanosleep(&pause, NULL);
    }
}

/* Beside other threads the counts are not exact, but nothing in them may run below zero. */
static void check_statistics(void) {
    cslice_statistics now = counts();
    CHECK(now.live_blocks <= now.allocated_blocks && now.live_bytes <= INT64_MAX);
}

static void step(worker *self) {
    uint32_t choice = pick(self, 20);
    if (choice < 11) {
        use_buffer(self);
    } else if (choice < 15) {
        exchange(self);
    } else if (choice < 17) {
        resize_or_renew(self);
    } else if (choice == 17) {
        take_due(self);
    } else if (choice == 18) {
        check_statistics();
    } else {
        delay(self);
    }
}

/* In the order of csrc/host.c and V8: the module first, then the buffers that are left. */
static void live(worker *self) {
    cslice__thread_open();
    self->due = 0;
    self->mailbox = new_mailbox(&self->due);
    for (uint32_t i = 0; i < steps; i++) step(self);
    atomic_fetch_add(&self->lives_ended, 1); /* in a moment; no post may be refused before */
    cslice__due_end(self->mailbox);
    cslice__thread_close();
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (self->buffers[i] != NULL)
            cslice__block_unref(self->buffers[i], cslice__thread_end_reason());
        self->buffers[i] = NULL;
    }
}

static void *run(void *argument) {
    mine = argument;
    for (int i = 0; i < LIVES; i++) live(argument);
    return NULL;
}

static void *sweep(void *argument) {
    for (size_t i = (size_t)(uintptr_t)argument; atomic_load(&sweeping); i++) {
        cslice_block *block = atomic_exchange(&dead[i % DEAD], NULL);
        if (block != NULL) cslice__block_unref(block, cslice__thread_end_reason());
        if (i % DEAD == 0) sched_yield();
    }
    return NULL;
}

static void start(worker *self, unsigned index, uint32_t seed) {
    self->index = index;
    self->random = seed * 2654435761u + index + 1;
    if (self->random == 0) self->random = 1;
    self->payloads = calloc((size_t)MOST_STEPS * LIVES, sizeof *self->payloads);
    CHECK(self->payloads != NULL);
}

static uint64_t count_unended(const worker *self) {
    uint64_t unended = 0;
    for (uint32_t i = 0; i < self->payload_count; i++)
        unended += atomic_load(&self->payloads[i].ended) == 0;
    return unended;
}

/* A destructor that ran twice has failed a check already: here those count that never ran. */
static void check_ends(void) {
    uint64_t unended = 0, lost = 0, taken = 0;
    for (int i = 0; i < THREADS; i++) {
        unended += count_unended(&workers[i]);
        lost += workers[i].callbacks_made - workers[i].callbacks_taken -
            atomic_load(&workers[i].disowned);
        taken += workers[i].callbacks_taken;
    }
    CHECK(steps < 1000 || (taken > 0 && lost > 0)); /* or the test would show little */
    CHECK_EQUAL(unended, lost);
    CHECK_EQUAL(counts().lost_destructors, lost);
    check_nothing_live();
}

static void end_all(_Atomic(cslice_block *) *places, int count) {
    for (int i = 0; i < count; i++) cslice_block_unref(atomic_exchange(&places[i], NULL));
}

int main(int count, char **arguments) {
    pthread_t threads[THREADS], sweepers[SWEEPERS];
    uint32_t seed = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 1;
    if (count > 2) steps = (uint32_t)strtoul(arguments[2], NULL, 10);
    CHECK(steps > 0 && steps <= MOST_STEPS);
    printf("seed %" PRIu32 ", %" PRIu32 " steps\n", seed, steps);
    cslice_limit_set(LIMIT);
    for (unsigned i = 0; i < THREADS; i++) start(&workers[i], i, seed);
    for (int i = 0; i < SWEEPERS; i++) {
        CHECK_EQUAL(pthread_create(&sweepers[i], NULL, sweep, (void *)(uintptr_t)(i * 31)), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    atomic_store(&sweeping, false);
    for (int i = 0; i < SWEEPERS; i++) CHECK_EQUAL(pthread_join(sweepers[i], NULL), 0);
    end_all(shared, SHARED);
    end_all(dead, DEAD);
    check_ends();
    for (int i = 0; i < THREADS; i++) free(workers[i].payloads);
    return 0;
}
