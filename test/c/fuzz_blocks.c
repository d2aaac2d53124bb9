/*
 * A libFuzzer target: each input is a list of operations on blocks, as csrc/host.c and C programs
 * make them. A model foretells every result, and after each operation the statistics, the
 * destructors that ran, what is due in the mailbox and the bytes of live blocks are compared with
 * it.
 *
 * Other threads work on request alone, so that an input means the same at each run.
 */
#include "support.h"

#include <string.h>

enum { MOST_PLACES = 32, MOST_BLOCKS = 512, MOST_SIZE = 70000, NONE = -1 };

typedef struct model_block {
    int references;
    cslice__kind kind;
    uint64_t size;
    cslice_block *block; /* while it has references */
    unsigned char *data;
    int mailbox;    /* the number of its mailbox; NONE: its destructor runs anywhere */
    bool kept;      /* released, and kept by JavaScript: its one reference is the kept buffer's */
    int due, ended; /* how often the destructor must have run, and how often it has */
} model_block;

static struct {
    model_block blocks[MOST_BLOCKS];
    int block_count;
    int places[MOST_PLACES]; /* references, each to a block by its index */
    int posted[MOST_BLOCKS]; /* what waits in the mailbox */
    int first_posted, last_posted;
    int mailbox_number;
    cslice__mailbox *mailbox;
    double due;
    int wakes, expected_wakes;
    bool open; /* the thread of JavaScript */
    uint64_t limit;
    cslice_block *ballast;
    cslice_statistics counts;
} model;

static struct {
    const uint8_t *next;
    size_t left;
} input;

static uint32_t read_byte(void) {
    if (input.left == 0) return 0;
    input.left--;
    return *input.next++;
}

static uint64_t read_size(void) {
    static const uint64_t odd[] = {0,    UINT64_MAX, (uint64_t)PTRDIFF_MAX + 1,
                                   4096, MOST_SIZE,  UINT32_MAX + (uint64_t)1,
                                   1024, 1025};
    uint32_t value = read_byte();
    uint64_t size = value < 8 ? odd[value] : value * (uint64_t)(value % 5 == 0 ? 20 : 1);
    /* The sanitizer's allocator may have 4 GiB or not: only a limit makes the outcome certain. */
    return size == UINT32_MAX + (uint64_t)1 && model.limit == 0 ? 6 : size;
}

/* ---- Other threads ---- */

typedef void job_function(void *argument);

typedef struct helper {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    job_function *job; /* NULL: none */
    void *argument;
    bool started;
} helper;

#define HELPER {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static helper of_v8 = HELPER, of_worker = HELPER;

static void *help(void *argument) {
    helper *self = argument;
    pthread_mutex_lock(&self->mutex);
    for (;;) {
        while (self->job == NULL) pthread_cond_wait(&self->changed, &self->mutex);
        self->job(self->argument);
        self->job = NULL;
        pthread_cond_broadcast(&self->changed);
    }
    return NULL;
}

/* Returns when the job is done. */
static void run_in(helper *other, job_function *job, void *argument) {
    pthread_mutex_lock(&other->mutex);
    if (!other->started) {
        pthread_t thread;
        CHECK_EQUAL(pthread_create(&thread, NULL, help, other), 0);
        CHECK_EQUAL(pthread_detach(thread), 0);
        other->started = true;
    }
    other->job = job;
    other->argument = argument;
    pthread_cond_broadcast(&other->changed);
    while (other->job != NULL) pthread_cond_wait(&other->changed, &other->mutex);
    pthread_mutex_unlock(&other->mutex);
}

/* ---- The model ---- */

static void raise_peak(void) {
    if (model.counts.live_bytes > model.counts.peak_bytes)
        model.counts.peak_bytes = model.counts.live_bytes;
}

static model_block *model_make(uint32_t place, cslice__kind kind, cslice_block *block) {
    int index = model.block_count++;
    model_block *made = &model.blocks[index];
    *made = (model_block){.references = 1,
                          .kind = kind,
                          .size = cslice_block_size(block),
                          .block = block,
                          .data = cslice_block_data(block),
                          .mailbox = NONE};
    model.places[place] = index;
    model.counts.allocated_blocks++;
    model.counts.live_blocks++;
    model.counts.live_bytes += made->size;
    if (kind != CSLICE__HEAP) {
        model.counts.adopted_blocks++;
        model.counts.adopted_bytes += made->size;
    }
    raise_peak();
    return made;
}

static void model_end(const model_block *block, uint64_t *counter) {
    model.counts.live_blocks--;
    model.counts.live_bytes -= block->size;
    if (block->kind != CSLICE__HEAP) {
        model.counts.adopted_blocks--;
        model.counts.adopted_bytes -= block->size;
    }
    ++*counter;
}

static uint64_t *counter_of(cslice__end end) {
    uint64_t *const counters[] = {
        [CSLICE__BY_SCOPE] = &model.counts.released_by_scope,
        [CSLICE__BY_COLLECTION] = &model.counts.released_by_collection,
        [CSLICE__BY_THREAD_END] = &model.counts.released_by_thread_end,
        [CSLICE__BY_C] = &model.counts.released_by_c,
    };
    return counters[end];
}

static bool is_native(const model_block *block) {
    return block->kind != CSLICE__HEAP && block->kind != CSLICE__CALLBACK &&
        block->kind != CSLICE__GONE;
}

static void model_drop(uint32_t place, cslice__end end) {
    int index = model.places[place];
    model_block *block = &model.blocks[index];
    model.places[place] = NONE;
    if (--block->references != 0 || block->kind == CSLICE__GONE) return;
    model_end(block, counter_of(end));
    if (block->mailbox != NONE && block->mailbox == model.mailbox_number) {
        model.posted[model.last_posted++] = index;
        model.expected_wakes++;
    } else if (block->kind == CSLICE__CALLBACK) {
        model.counts.lost_destructors++;
    } else if (is_native(block)) {
        block->due++;
    }
}

static model_block *block_in(uint32_t place) {
    return model.places[place] == NONE ? NULL : &model.blocks[model.places[place]];
}

/* JavaScript takes a kept block again before it does anything else with it. */
static void take_kept(model_block *block) {
    account()->taken++;
    account()->bytes -= (double)block->size;
    block->kept = false;
    model.counts.allocated_blocks++;
    model.counts.live_blocks++;
    model.counts.live_bytes += block->size;
    raise_peak();
}

static uint32_t read_any_place(void) {
    return read_byte() % MOST_PLACES;
}

static uint32_t read_place(void) {
    uint32_t place = read_any_place();
    model_block *block = block_in(place);
    if (block != NULL && block->kept) take_kept(block);
    return place;
}

/* JavaScript or C lets go of what a place holds, to make room. */
static uint32_t read_empty_place(void) {
    uint32_t place = read_place();
    model_block *block = block_in(place);
    if (block == NULL) return place;
    cslice_block_unref(block->block);
    model_drop(place, CSLICE__BY_C);
    return place;
}

static int expect_bytes(uint64_t size) {
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    return model.limit != 0 && model.counts.live_bytes + size > model.limit ? CSLICE_ELIMIT : 0;
}

static int expect_block(uint64_t size, uint64_t failing) {
    int expected = expect_bytes(size);
    return expected == 0 && (failing == 1 || failing == 2) ? CSLICE_ENOMEM : expected;
}

/* ---- Comparing ---- */

static void end_block(void *data) {
    model_block *block = (model_block *)data; /* the destructor's data is the model's own block */
    CHECK(block >= model.blocks && block < model.blocks + MOST_BLOCKS);
    block->ended++;
}

static void end_block_size(void *data, size_t size) {
    end_block(data);
    CHECK_EQUAL(size, ((model_block *)data)->size);
}

static void end_block_context(void *context, void *data) {
    CHECK(context == data);
    end_block(data);
}

static void end_block_free(void *data, size_t size, void *context) {
    end_block_size(data, size);
    CHECK(context == data);
}

static void check_block(int index) {
    const model_block *block = &model.blocks[index];
    CHECK_EQUAL(block->due, block->ended);
    if (block->references == 0) return;
    CHECK_EQUAL(atomic_load(&block->block->references), block->references);
    CHECK(cslice_block_data(block->block) == block->data);
    CHECK_EQUAL(cslice_block_size(block->block), block->size);
    CHECK_EQUAL(cslice__block_is_renewable(block->block),
                block->kind == CSLICE__HEAP && block->references == 1);
    if (block->kind != CSLICE__HEAP || block->size == 0) return;
    CHECK_EQUAL(block->data[0], index & 0xff);
    CHECK_EQUAL(block->data[block->size - 1], index & 0xff);
}

static void compare(void) {
    cslice_statistics now = counts();
    check_invariant();
    CHECK_EQUAL(now.live_blocks, model.counts.live_blocks);
    CHECK_EQUAL(now.live_bytes, model.counts.live_bytes);
    CHECK_EQUAL(now.peak_bytes, model.counts.peak_bytes);
    CHECK_EQUAL(now.allocated_blocks, model.counts.allocated_blocks);
    CHECK_EQUAL(now.lost_destructors, model.counts.lost_destructors);
    CHECK(counts_equal(now, model.counts));
    CHECK(model.due == (model.first_posted < model.last_posted ? 1 : 0));
    CHECK_EQUAL(model.wakes, model.expected_wakes);
    for (int i = 0; i < model.block_count; i++) check_block(i);
}

/* ---- Operations ---- */

/* `failing`: the number of the first allocation that fails in this operation, 0: none. */
typedef void operation(uint64_t failing);

static void write_bytes(const model_block *block) {
    memset(block->data, (int)(block - model.blocks), (size_t)block->size);
}

static void made_heap(uint32_t place, cslice_block *block, bool zero) {
    model_block *made = model_make(place, CSLICE__HEAP, block);
    CHECK(!zero || all_zero(made->data, (size_t)made->size));
    write_bytes(made);
}

static void op_new(uint64_t failing) {
    uint32_t place = read_empty_place();
    uint64_t size = read_size();
    cslice_block *block = NULL;
    int expected = expect_block(size, failing);
    CHECK_EQUAL(cslice_block_new((size_t)size, &block), expected);
    if (expected != 0) return;
    CHECK_EQUAL((uintptr_t)cslice_block_data(block) % 16, 0);
    CHECK_EQUAL(cslice_block_size(block), size);
    made_heap(place, block, true);
}

static void op_alloc(uint64_t failing) {
    static const size_t alignments[] = {1, 2, 8, 16, 64, 4096};
    uint32_t place = read_empty_place(), options = read_byte(), zero = options & 1;
    uint64_t size = read_size();
    size_t alignment = alignments[(options >> 1) % (sizeof alignments / sizeof *alignments)];
    cslice_block *block = NULL;
    int expected = expect_block(size, failing);
    CHECK_EQUAL(cslice__block_alloc((size_t)size, alignment, zero != 0, &block), expected);
    if (expected != 0) return;
    CHECK_EQUAL((uintptr_t)cslice_block_data(block) % alignment, 0);
    made_heap(place, block, zero != 0);
}

/* Adopts the model's own next block, whose address the destructor then gets. */
static void adopt(uint32_t place, uint64_t failing, cslice__kind kind, uintptr_t function,
                  bool at_home) {
    model_block *data = &model.blocks[model.block_count];
    size_t size = read_byte();
    if (size == 255) size = SIZE_MAX - read_byte();
    cslice_block *block = NULL;
    int expected = size > PTRDIFF_MAX ? CSLICE_EINVAL : failing == 1 ? CSLICE_ENOMEM : 0;
    CHECK_EQUAL(cslice__block_adopt(kind, data, size, function, data,
                                    at_home ? model.mailbox : NULL, &block),
                expected);
    if (expected == 0)
        model_make(place, kind, block)->mailbox = at_home ? model.mailbox_number : NONE;
}

static void op_adopt(uint64_t failing) {
    uint64_t functions[] = {FUNCTION(end_block), FUNCTION(end_block_size),
                            FUNCTION(end_block_context)};
    uint32_t place = read_empty_place(), options = read_byte(), signature = options % 4;
    cslice__kind kind;
    CHECK_EQUAL(cslice__block_kind_of(signature, &kind), signature < 3 ? 0 : CSLICE_EINVAL);
    if (signature < 3)
        adopt(place, failing, kind, (uintptr_t)functions[signature], (options & 4) != 0);
}

static void op_adopt_in_c(uint64_t failing) {
    uint32_t place = read_empty_place();
    model_block *data = &model.blocks[model.block_count];
    size_t size = read_byte();
    cslice_block *block = NULL;
    int expected = failing == 1 ? CSLICE_ENOMEM : 0;
    CHECK_EQUAL(cslice_block_adopt(data, size, end_block_free, data, &block), expected);
    if (expected == 0) model_make(place, CSLICE__FREE_FUNCTION, block);
}

static void op_adopt_callback(uint64_t failing) {
    uint32_t place = read_empty_place();
    adopt(place, failing, CSLICE__CALLBACK, (uintptr_t)model.block_count + 1, true);
}

static void op_ref(uint64_t failing) {
    (void)failing;
    uint32_t from = read_place(), to = read_empty_place();
    model_block *block = block_in(from);
    if (block == NULL) return;
    CHECK(cslice_block_ref(block->block) == block->block);
    block->references++;
    model.places[to] = model.places[from];
}

/* As a buffer ends that JavaScript releases, or that V8 has collected in this thread. */
static void op_end_buffer(uint64_t failing) {
    (void)failing;
    uint32_t place = read_place(), releasing = read_byte() & 1;
    if (block_in(place) == NULL) return;
    cslice__end end = releasing ? CSLICE__BY_SCOPE
        : model.open            ? CSLICE__BY_COLLECTION
                                : CSLICE__BY_THREAD_END;
    cslice__thread_releasing(releasing != 0);
    CHECK_EQUAL(cslice__thread_end_reason(), end);
    cslice__block_unref(block_in(place)->block, end);
    cslice__thread_releasing(false);
    model_drop(place, end);
}

static void op_drop(uint64_t failing) {
    (void)failing;
    uint32_t place = read_place(), end = read_byte() % (CSLICE__BY_C + 2);
    model_block *block = block_in(place);
    if (block == NULL) return;
    if (end <= CSLICE__BY_C) {
        cslice__block_unref(block->block, (cslice__end)end);
    } else {
        end = CSLICE__BY_C;
        cslice_unref(ADDRESS(block->block));
    }
    model_drop(place, (cslice__end)end);
}

/* A thread of V8's has nothing of its own. */
static void drop_as_v8(void *block) {
    CHECK_EQUAL(cslice__thread_end_reason(), CSLICE__BY_COLLECTION);
    cslice__block_unref(block, cslice__thread_end_reason());
}

/* Another thread of JavaScript, which the bytes were posted to. */
static void drop_in_worker(void *block) {
    cslice__thread_open();
    cslice__block_unref(block, cslice__thread_end_reason());
    cslice__thread_close();
}

static void drop_after_worker(void *block) {
    cslice__thread_open();
    cslice__thread_close();
    cslice__block_unref(block, cslice__thread_end_reason());
}

static void op_drop_elsewhere(uint64_t failing) {
    (void)failing;
    static const struct {
        helper *thread;
        job_function *job;
        cslice__end end;
    } ways[] = {
        {&of_v8, drop_as_v8, CSLICE__BY_COLLECTION},
        {&of_worker, drop_in_worker, CSLICE__BY_COLLECTION},
        {&of_worker, drop_after_worker, CSLICE__BY_THREAD_END},
    };
    uint32_t place = read_place(), way = read_byte() % 3;
    if (block_in(place) == NULL) return;
    (void)counts(); /* a block that is taken in one thread and ended in another makes no peak until
                       the first one calls C */
    run_in(ways[way].thread, ways[way].job, block_in(place)->block);
    model_drop(place, ways[way].end);
}

static void op_resize(uint64_t failing) {
    uint32_t place = read_place();
    uint64_t size = read_size();
    model_block *block = block_in(place);
    if (block == NULL) return;
    int expected = 0;
    if (block->kind != CSLICE__HEAP || block->references != 1) {
        expected = CSLICE_EINVAL;
    } else {
        expected = size > block->size ? expect_bytes(size - block->size) : 0;
        if (size > PTRDIFF_MAX || (expected == 0 && failing == 1)) expected = CSLICE_ENOMEM;
    }
    int64_t address = cslice__block_resize(block->block, (size_t)size);
    CHECK(address > 0 ? expected == 0 : address == expected && expected < 0);
    if (expected != 0) return;
    block->data = (unsigned char *)(uintptr_t)address;
    uint64_t kept = size < block->size ? size : block->size;
    for (uint64_t i = 0; i < kept; i++) CHECK_EQUAL(block->data[i], (block - model.blocks) & 0xff);
    CHECK(all_zero(block->data + kept, (size_t)(size - kept)));
    model.counts.live_bytes += size - block->size;
    block->size = size;
    raise_peak();
    write_bytes(block);
}

static void op_clone(uint64_t failing) {
    uint32_t place = read_place(), to = read_empty_place();
    uint64_t size = read_size();
    model_block *block = block_in(place);
    if (block == NULL || !cslice__block_is_renewable(block->block)) return;
    cslice_block *clone = NULL;
    int expected = expect_block(size, failing);
    CHECK_EQUAL(cslice__block_clone(block->block, (size_t)size, &clone), expected);
    if (expected != 0) return;
    uint64_t kept = size < block->size ? size : block->size;
    const unsigned char *data = cslice_block_data(clone);
    CHECK_EQUAL((uintptr_t)data % block->block->destructor.alignment, 0);
    CHECK(memcmp(data, block->data, (size_t)kept) == 0 &&
          all_zero(data + kept, (size_t)(size - kept)));
    made_heap(to, clone, false);
}

static void op_disown(uint64_t failing) {
    (void)failing;
    uint32_t place = read_place();
    model_block *block = block_in(place);
    if (block == NULL || block->kind == CSLICE__GONE) return;
    bool expected = block->references == 1;
    CHECK_EQUAL(cslice__block_is_disownable(block->block), expected);
    if (!expected) return;
    CHECK_EQUAL(cslice__block_disown(block->block, NULL),
                block->kind == CSLICE__CALLBACK ? block - model.blocks + 1 : 0);
    if (block->kind == CSLICE__HEAP) free(block->data); /* it is C's now */
    model_end(block, &model.counts.disowned_blocks);
    block->kind = CSLICE__GONE;
}

static void op_renew(uint64_t failing) {
    (void)failing;
    double addresses[7];
    model_block *chosen[7];
    uint32_t count = read_byte() % 8, found = 0;
    int expected = 0;
    for (uint32_t i = 0; i < count; i++) {
        model_block *block = block_in(read_any_place()); /* kept ones above all */
        if (block == NULL) continue;
        if (block->kind != CSLICE__HEAP || block->references != 1) expected = CSLICE_EINVAL;
        addresses[found] = (double)(uintptr_t)block->block;
        chosen[found++] = block;
    }
    CHECK_EQUAL(cslice_blocks_renew(addresses, found), expected);
    if (expected != 0) return;
    for (uint32_t i = 0; i < found; i++) CHECK(all_zero(chosen[i]->data, (size_t)chosen[i]->size));
    for (uint32_t i = 0; i < found; i++) write_bytes(chosen[i]);
}

/* As JavaScript does with a block that nobody else can have. Not with one that is kept: C does not
   see the peak of a block that is taken and kept again without a call. */
static void op_keep(uint64_t failing) {
    (void)failing;
    uint32_t place = read_any_place();
    model_block *block = block_in(place);
    reuse_account *own = account();
    if (own == NULL) return; /* the thread is closed, or its allocation had failed */
    CHECK_EQUAL(own->capacity, model.limit == 0 ? (double)CSLICE__REUSE_BYTES : 0);
    if (block == NULL || block->kept || block->kind != CSLICE__HEAP || block->references != 1)
        return;
    if (own->bytes + (double)block->size > own->capacity) return;
    own->released++;
    own->bytes += (double)block->size;
    block->kept = true;
    model_end(block, &model.counts.released_by_scope);
}

static void release_kept(uint32_t place) {
    model_block *block = block_in(place);
    account()->released--;
    cslice__block_unref(block->block, CSLICE__BY_SCOPE);
    account()->bytes -= (double)block->size;
    block->references = 0;
    block->kept = false;
    model.places[place] = NONE;
}

static void op_release_kept(uint64_t failing) {
    (void)failing;
    uint32_t place = read_any_place();
    if (block_in(place) != NULL && block_in(place)->kept) release_kept(place);
}

static void op_limit(uint64_t failing) {
    (void)failing;
    uint32_t value = read_byte();
    model.limit = value == 0 ? 0 : cslice_block_size(model.ballast) + value * (uint64_t)20;
    cslice_limit_set(model.limit);
}

/* Runs the native destructors up to a JavaScript one. */
static void op_due(uint64_t failing) {
    (void)failing;
    int64_t expected = 0;
    while (expected == 0 && model.first_posted < model.last_posted) {
        int index = model.posted[model.first_posted++];
        model_block *block = &model.blocks[index];
        if (block->kind == CSLICE__CALLBACK) {
            expected = index + 1;
        } else {
            block->due++;
        }
    }
    CHECK_EQUAL(cslice_due_next(ADDRESS(model.mailbox)), expected);
}

/* What waits is run or lost. The blocks that outlive the mailbox hold it. */
static void end_model_mailbox(void) {
    int users = 1;
    for (int i = 0; i < model.block_count; i++) {
        const model_block *block = &model.blocks[i];
        users += block->references != 0 && block->kind != CSLICE__GONE &&
            block->mailbox == model.mailbox_number;
    }
    CHECK_EQUAL(atomic_load(&model.mailbox->references), users);
    cslice__due_end(model.mailbox);
    while (model.first_posted < model.last_posted) {
        model_block *block = &model.blocks[model.posted[model.first_posted++]];
        if (block->kind == CSLICE__CALLBACK) {
            model.counts.lost_destructors++;
        } else {
            block->due++;
        }
    }
    model.mailbox_number++;
    model.mailbox = NULL;
    model.due = 0; /* the reader's own: a closed mailbox does not write it */
}

static void count_wake(void *target) {
    ++*(int *)target;
}

static void new_model_mailbox(void) {
    model.mailbox = new_mailbox(&model.due);
    cslice__mailbox_set_wake(model.mailbox, count_wake, &model.wakes);
}

static void open_model_thread(void) {
    cslice__thread_open();
    model.open = true;
}

/* V8 ends the buffers of kept blocks after the module has closed, and may leave others to another
 * thread. */
static void close_model_thread(void) {
    cslice__thread_close();
    model.open = false;
    CHECK_EQUAL(cslice_reuse_account(), 0);
    for (uint32_t place = 0; place < MOST_PLACES; place++) {
        model_block *block = block_in(place);
        if (block == NULL || !block->kept) continue;
        cslice__block_unref(block->block, cslice__thread_end_reason());
        block->references = 0;
        block->kept = false;
        model.places[place] = NONE;
    }
}

static void op_end_thread(uint64_t failing) {
    cslice_test_fail_allocation(0);
    if (model.open) {
        end_model_mailbox();
        close_model_thread();
        new_model_mailbox();
    } else {
        cslice_test_fail_allocation(failing);
        open_model_thread();
    }
}

/* ---- One input ---- */

/* As many live bytes as ever: so the peak of each input is a new one, and seen. Nobody touches such
 * bytes. */
static void load_ballast(void) {
    CHECK_EQUAL(cslice_block_adopt(NULL, (size_t)counts().peak_bytes, NULL, NULL, &model.ballast),
                0);
}

static void begin(const uint8_t *data, size_t size) {
    memset(&model, 0, sizeof model);
    for (int i = 0; i < MOST_PLACES; i++) model.places[i] = NONE;
    input.next = data;
    input.left = size;
    load_ballast();
    model.counts = counts();
    new_model_mailbox();
    open_model_thread();
}

static void finish(void) {
    cslice_limit_set(0);
    model.limit = 0;
    end_model_mailbox();
    if (model.open) close_model_thread();
    for (uint32_t place = 0; place < MOST_PLACES; place++) {
        if (block_in(place) == NULL) continue;
        cslice__block_unref(block_in(place)->block, cslice__thread_end_reason());
        model_drop(place, CSLICE__BY_THREAD_END);
    }
    compare();
    cslice_block_unref(model.ballast);
    check_nothing_live();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static operation *const operations[] = {
        op_new,   op_alloc,      op_adopt,      op_adopt_in_c,     op_adopt_callback,
        op_ref,   op_end_buffer, op_drop,       op_drop_elsewhere, op_resize,
        op_clone, op_disown,     op_renew,      op_keep,           op_release_kept,
        op_limit, op_due,        op_end_thread,
    };
    enum { OPERATIONS = sizeof operations / sizeof *operations };
    begin(data, size);
    while (input.left > 0 && model.block_count < MOST_BLOCKS) {
        uint32_t choice = read_byte();
        uint64_t failing = choice / OPERATIONS < 12 ? 0 : choice / OPERATIONS - 11;
        cslice_test_fail_allocation(failing);
        operations[choice % OPERATIONS](failing);
        cslice_test_fail_allocation(0);
        compare();
    }
    finish();
    return 0;
}
