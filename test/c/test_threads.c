/*
 * Threads with an owner table and a mailbox each work at random on slots and on blocks that they exchange and share.
 * In the end no block lives and each destructor has run once. The sanitizers watch: every thread writes to a block
 * while it holds a reference, and the destructor reads all of that.
 *
 * Arguments: the seed and the steps in one life of a thread, both optional.
 */
#include "support.h"

#include <sched.h>
#include <time.h>

enum { THREADS = 4, LIVES = 4, SLOTS = 16, SHARED = 32, MOST_STEPS = 20000, LIMIT = 40000 };

typedef struct payload {
    atomic_int ended;
    unsigned char marks[THREADS];
} payload;

/* What a slot holds; two slots may hold the same. */
typedef struct holding {
    bool full;
    bool callback;
    payload *owned; /* NULL: a block of the library's own memory */
    unsigned char *marks;
} holding;

typedef struct worker {
    unsigned index;
    uint32_t random;
    uint32_t first_slot;
    holding slots[SLOTS];
    cslice__mailbox *mailbox;
    payload *payloads;
    uint32_t payload_count;
    payload **callbacks; /* by name, within one life */
    uint64_t callbacks_made, callbacks_taken;
} worker;

static _Atomic(cslice_block *) shared[SHARED];
static _Atomic uint64_t offered[SHARED]; /* names of shares, many of them stale */
static uint32_t steps = 1500;

static uint32_t pick(worker *self, uint32_t below) {
    self->random ^= self->random << 13;
    self->random ^= self->random >> 17;
    self->random ^= self->random << 5;
    return self->random % below;
}

static void end_payload(payload *owned) {
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

static payload *next_payload(worker *self) {
    CHECK(self->payload_count < MOST_STEPS * LIVES);
    return &self->payloads[self->payload_count++];
}

static void mark(const worker *self, unsigned char *marks) {
    marks[self->index]++;
}

static void hold(worker *self, uint32_t i, payload *owned, unsigned char *marks) {
    self->slots[i] = (holding){.full = true, .owned = owned, .marks = marks};
    mark(self, marks);
}

static void fill_alloc(worker *self, uint32_t i) {
    uint64_t alignment = (uint64_t)1 << pick(self, 8);
    int64_t address = cslice_slot_alloc_with(self->first_slot + i, THREADS + pick(self, 500), alignment, 1);
    if (address == CSLICE_ELIMIT) return;
    CHECK(address > 0);
    hold(self, i, NULL, (unsigned char *)(uintptr_t)address);
}

static void fill_adopt(worker *self, uint32_t i) {
    static const uint32_t signatures[] = {CSLICE_SIGNATURE_PTR, CSLICE_SIGNATURE_PTR_SIZE, CSLICE_SIGNATURE_CTX_PTR};
    uint64_t functions[] = {FUNCTION(end_ptr_payload), FUNCTION(end_ptr_size_payload), FUNCTION(end_ctx_ptr_payload)};
    uint32_t which = pick(self, 3);
    payload *owned = next_payload(self);
    CHECK_EQUAL(cslice_slot_adopt(self->first_slot + i, ADDRESS(owned), sizeof *owned, functions[which],
                                  signatures[which], ADDRESS(owned)), 0);
    hold(self, i, owned, owned->marks);
}

static void fill_callback(worker *self, uint32_t i) {
    payload *owned = next_payload(self);
    int64_t name = cslice_slot_adopt_callback(self->first_slot + i, ADDRESS(owned), sizeof *owned,
                                              ADDRESS(self->mailbox));
    CHECK(name > 0 && name <= steps);
    self->callbacks[name] = owned;
    self->callbacks_made++;
    hold(self, i, owned, owned->marks);
    self->slots[i].callback = true;
}

static void fill_ref(worker *self, uint32_t i) {
    uint32_t from = pick(self, SLOTS);
    if (!self->slots[from].full) return;
    CHECK_EQUAL(cslice_slot_ref(self->first_slot + i, self->first_slot + from), 0);
    self->slots[i] = self->slots[from];
    mark(self, self->slots[i].marks);
}

enum { SECRET = 123 };

static void fill_attach(worker *self, uint32_t i) {
    uint32_t slot = self->first_slot + i;
    int32_t status = cslice_slot_attach(slot, atomic_load(&offered[pick(self, SHARED)]), SECRET, 0);
    if (status == CSLICE_ESHARED) return;
    CHECK_EQUAL(status, 0);
    void *data = (void *)(uintptr_t)cslice_slot_address(slot);
    const cslice_block *block = (cslice_block *)(uintptr_t)cslice_slot_block(slot);
    payload *owned = block->kind == CSLICE__HEAP ? NULL : data;
    hold(self, i, owned, owned == NULL ? data : owned->marks);
    self->slots[i].callback = block->kind == CSLICE__CALLBACK;
}

static void offer_slot(worker *self) {
    uint32_t i = pick(self, SLOTS);
    if (!self->slots[i].full) return;
    int64_t name = cslice_slot_share(self->first_slot + i, SECRET, pick(self, 3), pick(self, 2));
    CHECK(name > 0);
    atomic_store(&offered[pick(self, SHARED)], (uint64_t)name);
}

static void disown(worker *self, holding *held, uint32_t slot) {
    if (cslice_slot_disown(slot) < 0) return;
    held->full = false;
    if (held->callback) self->callbacks_made--; /* nobody will hear of it */
    if (held->owned != NULL) {
        end_payload(held->owned);
    } else {
        free(held->marks);
    }
}

static void empty(worker *self, uint32_t i) {
    holding *held = &self->slots[i];
    uint32_t slot = self->first_slot + i, choice = pick(self, 3);
    mark(self, held->marks);
    if (choice == 0) {
        disown(self, held, slot);
        return;
    }
    held->full = false;
    if (choice == 1) {
        cslice_slot_release(slot);
    } else {
        cslice_slots_collect(&slot, 1);
    }
}

static void use_slot(worker *self) {
    static void (*const fillings[])(worker *, uint32_t) = {fill_alloc, fill_adopt, fill_ref, fill_callback, fill_attach};
    uint32_t i = pick(self, SLOTS);
    if (self->slots[i].full) {
        empty(self, i);
    } else {
        fillings[pick(self, 5)](self, i);
    }
}

static cslice_block *make_shared(worker *self) {
    cslice_block *block = NULL;
    if (pick(self, 3) == 0) {
        int status = cslice_block_new(THREADS + pick(self, 300), &block);
        CHECK(status == 0 || status == CSLICE_ELIMIT);
        return block;
    }
    payload *owned = next_payload(self);
    if (pick(self, 2) == 0) {
        CHECK_EQUAL(cslice_block_adopt(owned, sizeof *owned, end_free_payload, owned, &block), 0);
        return block;
    }
    CHECK_EQUAL(cslice__block_adopt_callback(self->mailbox, owned, sizeof *owned, &block), 0);
    self->callbacks[block->destructor.number] = owned;
    self->callbacks_made++;
    return block;
}

static unsigned char *marks_of(cslice_block *block) {
    if (block->kind == CSLICE__HEAP) return cslice_block_data(block);
    return ((payload *)cslice_block_data(block))->marks;
}

/* A block and one reference to it go into the place; what was there comes out, and is left to others or dropped. */
static void exchange(worker *self) {
    cslice_block *block = pick(self, 2) == 0 ? make_shared(self) : NULL;
    block = atomic_exchange(&shared[pick(self, SHARED)], block);
    if (block == NULL) return;
    mark(self, marks_of(block));
    for (uint32_t more = pick(self, 3); more > 0; more--) {
        cslice_block *pushed_out = atomic_exchange(&shared[pick(self, SHARED)], cslice_block_ref(block));
        cslice_block_unref(pushed_out);
    }
    mark(self, marks_of(block));
    cslice_block_unref(block);
}

static void take_callbacks(worker *self) {
    for (int64_t name; (name = cslice_callback_take(ADDRESS(self->mailbox))) != 0;) {
        CHECK(name > 0 && name <= steps);
        end_payload(self->callbacks[name]);
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

static void step(worker *self) {
    uint32_t choice = pick(self, 18);
    if (choice < 8) {
        use_slot(self);
    } else if (choice == 16) {
        offer_slot(self);
    } else if (choice == 17) {
        cslice_shares_expire();
    } else if (choice < 13) {
        exchange(self);
    } else if (choice == 13) {
        take_callbacks(self);
    } else if (choice == 14) {
        CHECK(cslice_slots_reserve(pick(self, 4)) >= SLOTS);
    } else {
        delay(self);
    }
}

static void live(worker *self) {
    CHECK_EQUAL(cslice__owner_open(), 0);
    self->mailbox = cslice__mailbox_new();
    CHECK(self->mailbox != NULL);
    self->first_slot = (uint32_t)cslice_slots_reserve(SLOTS);
    for (uint32_t i = 0; i < SLOTS; i++) self->slots[i].full = false;
    for (uint32_t i = 0; i < steps; i++) step(self);
    cslice__owner_close();
    cslice__counts_lost(cslice__mailbox_close(self->mailbox));
    cslice__mailbox_unref(self->mailbox);
}

static void *run(void *argument) {
    for (int i = 0; i < LIVES; i++) live(argument);
    return NULL;
}

static void start(worker *self, unsigned index, uint32_t seed) {
    *self = (worker){.index = index, .random = seed * 2654435761u + index + 1};
    if (self->random == 0) self->random = 1;
    self->payloads = calloc((size_t)MOST_STEPS * LIVES, sizeof *self->payloads);
    self->callbacks = calloc((size_t)steps + 1, sizeof *self->callbacks);
    CHECK(self->payloads != NULL && self->callbacks != NULL);
}

static uint64_t count_unended(const worker *self) {
    uint64_t unended = 0;
    for (uint32_t i = 0; i < self->payload_count; i++) unended += atomic_load(&self->payloads[i].ended) == 0;
    return unended;
}

/* A destructor that ran twice has failed a check already: here those count that never ran. */
static void check_ends(const worker *workers) {
    uint64_t unended = 0, lost = 0;
    for (int i = 0; i < THREADS; i++) {
        unended += count_unended(&workers[i]);
        lost += workers[i].callbacks_made - workers[i].callbacks_taken;
    }
    CHECK_EQUAL(unended, lost);
    CHECK_EQUAL(counts().lost_destructors, lost);
    check_nothing_live();
}

int main(int count, char **arguments) {
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    uint32_t seed = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 1;
    if (count > 2) steps = (uint32_t)strtoul(arguments[2], NULL, 10);
    CHECK(steps > 0 && steps <= MOST_STEPS);
    printf("seed %" PRIu32 ", %" PRIu32 " steps\n", seed, steps);
    cslice_limit_set(LIMIT);
    for (unsigned i = 0; i < THREADS; i++) start(&workers[i], i, seed);
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < SHARED; i++) cslice_block_unref(atomic_load(&shared[i]));
    nanosleep(&(struct timespec){0, 10000000}, NULL); /* the patience of the last shares */
    cslice_shares_expire();
    check_ends(workers);
    for (int i = 0; i < THREADS; i++) {
        free(workers[i].payloads);
        free(workers[i].callbacks);
    }
    return 0;
}
