/*
 * A libFuzzer target: each input is a list of operations on slots and blocks. A model foretells every result, and after
 * each operation the statistics, the destructors that ran and the bytes of live blocks are compared with it.
 */
#include "support.h"

#include <string.h>

enum { MOST_SLOTS = 64, MOST_BLOCKS = 512, MOST_HANDLES = 4, NONE = -1 };

typedef struct model_block {
    int references;
    cslice__kind kind;
    uint64_t size;
    int64_t name; /* of a callback */
    unsigned char *data;
    bool aside;     /* released, and kept in its slot for the next one: no reference is left */
    int due, ended; /* how often the destructor must have run, and how often it has */
} model_block;

static struct {
    model_block blocks[MOST_BLOCKS];
    int block_count;
    int slots[MOST_SLOTS];
    uint32_t reserved;
    struct {
        cslice_block *block;
        int index;
    } handles[MOST_HANDLES]; /* references that C holds */
    int64_t posted[MOST_BLOCKS];
    int first_posted, last_posted;
    uint64_t limit;
    cslice_statistics counts;
    cslice__mailbox *mailbox;
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

static uint32_t read_any_slot(void) {
    uint32_t value = read_byte();
    return value == 255 ? UINT32_MAX : value % (model.reserved + 2);
}

static uint64_t read_size(void) {
    static const uint64_t odd[] = {0, UINT64_MAX, (uint64_t)PTRDIFF_MAX + 1, 4096, 70000, UINT32_MAX + (uint64_t)1};
    uint32_t value = read_byte();
    uint64_t size = value < 6 ? odd[value] : value;
    /* The sanitizer's allocator may have 4 GiB or not: only a limit makes the outcome certain. */
    return size == UINT32_MAX + (uint64_t)1 && model.limit == 0 ? 6 : size;
}

/* ---- The model ---- */

static bool full(uint32_t slot) {
    return slot < model.reserved && model.slots[slot] != NONE;
}

static bool vacant(uint32_t slot) {
    return slot < model.reserved && model.slots[slot] == NONE;
}

static model_block *model_make(cslice__kind kind, uint64_t size, void *data) {
    model_block *made = &model.blocks[model.block_count++];
    *made = (model_block){.references = 1, .kind = kind, .size = size, .data = data};
    model.counts.allocated_blocks++;
    model.counts.live_blocks++;
    model.counts.live_bytes += size;
    if (model.counts.live_bytes > model.counts.peak_bytes) model.counts.peak_bytes = model.counts.live_bytes;
    return made;
}

static void model_forget(model_block *block) {
    block->references = 0;
    model.counts.live_blocks--;
    model.counts.live_bytes -= block->size;
}

static void model_drop(int index, uint64_t *counter) {
    model_block *block = &model.blocks[index];
    if (--block->references != 0) return;
    model_forget(block);
    ++*counter;
    if (block->kind == CSLICE__CALLBACK) {
        model.posted[model.last_posted++] = block->name;
    } else if (block->kind != CSLICE__HEAP) {
        block->due++;
    }
}

static void model_empty(uint32_t slot, uint64_t *counter) {
    if (!full(slot)) return;
    model_drop(model.slots[slot], counter);
    model.slots[slot] = NONE;
}

static model_block *aside_in(uint32_t slot) {
    return full(slot) && model.blocks[model.slots[slot]].aside ? &model.blocks[model.slots[slot]] : NULL;
}

static void model_put_aside(model_block *block) {
    model_forget(block);
    model.counts.released_by_scope++;
    block->aside = true;
    account()->released++;
    account()->bytes += (double)block->size;
}

/* The block is live again, and nobody looks at its bytes before they are written. */
static void model_revive(model_block *block) {
    block->aside = false;
    block->references = 1;
    model.counts.live_blocks++;
    model.counts.live_bytes += block->size;
    if (model.counts.live_bytes > model.counts.peak_bytes) model.counts.peak_bytes = model.counts.live_bytes;
    account()->bytes -= (double)block->size;
}

/* A slot whose block lies aside is taken first, as nothing else may be done with it. */
static uint32_t read_slot(void) {
    uint32_t slot = read_any_slot();
    model_block *block = aside_in(slot);
    if (block == NULL) return slot;
    account()->taken++;
    model.counts.allocated_blocks++;
    model_revive(block);
    return slot;
}

static int expect_alloc(uint64_t size) {
    if (size > PTRDIFF_MAX) return CSLICE_ENOMEM;
    if (model.limit != 0 && model.counts.live_bytes + size > model.limit) return CSLICE_ELIMIT;
    return 0;
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

static void check_bytes(int index) {
    model_block *block = &model.blocks[index];
    CHECK_EQUAL(block->due, block->ended);
    if (block->kind != CSLICE__HEAP || block->references == 0 || block->size == 0) return;
    CHECK_EQUAL(block->data[0], index & 0xff);
    CHECK_EQUAL(block->data[block->size - 1], index & 0xff);
}

static void compare(void) {
    cslice_statistics now = counts();
    check_invariant();
    CHECK_EQUAL(now.live_blocks, model.counts.live_blocks);
    CHECK_EQUAL(now.live_bytes, model.counts.live_bytes);
    CHECK_EQUAL(now.disowned_blocks, model.counts.disowned_blocks);
    CHECK(counts_equal(now, model.counts));
    for (int i = 0; i < model.block_count; i++) check_bytes(i);
}

/* ---- Operations ---- */

/* `failing`: the number of the first allocation that fails in this operation, 0: none. */
typedef void operation(uint64_t failing);

static void fill_bytes(model_block *block, bool zero) {
    CHECK(!zero || all_zero(block->data, (size_t)block->size));
    memset(block->data, (int)(block - model.blocks), (size_t)block->size);
}

static void op_reserve(uint64_t failing) {
    uint32_t count = read_byte() % 9;
    if (model.reserved + count > MOST_SLOTS) return;
    int64_t first = cslice_slots_reserve(count);
    if (failing == 1 && first == CSLICE_ENOMEM) return;
    CHECK_EQUAL(first, model.reserved);
    for (uint32_t i = 0; i < count; i++) model.slots[model.reserved++] = NONE;
}

static void op_reserve_too_many(uint64_t failing) {
    (void)failing;
    CHECK_EQUAL(cslice_slots_reserve(UINT32_MAX - read_byte()), CSLICE_ENOMEM);
}

static void op_alloc(uint64_t failing) {
    uint32_t slot = read_slot();
    uint64_t size = read_size();
    int expected = vacant(slot) ? expect_alloc(size) : CSLICE_ESLOT;
    if (expected == 0 && failing != 0 && failing <= 2) expected = CSLICE_ENOMEM;
    int64_t address = cslice_slot_alloc(slot, size);
    CHECK(address > 0 ? expected == 0 : address == expected && expected < 0);
    if (address < 0) return;
    CHECK_EQUAL(address % 16, 0);
    model.slots[slot] = model.block_count;
    fill_bytes(model_make(CSLICE__HEAP, size, (void *)(uintptr_t)address), true);
}

static void op_alloc_with(uint64_t failing) {
    static const uint64_t alignments[] = {1, 2, 8, 16, 64, 4096, 0, 3, 24, UINT64_MAX};
    uint32_t slot = read_slot(), options = read_byte(), zero = options & 1;
    uint64_t size = read_size(), alignment = alignments[(options >> 1) % 10];
    bool power = alignment != 0 && (alignment & (alignment - 1)) == 0;
    int expected = !vacant(slot) ? CSLICE_ESLOT : !power ? CSLICE_EINVAL : expect_alloc(size);
    if (expected == 0 && failing != 0 && failing <= 2) expected = CSLICE_ENOMEM;
    int64_t address = cslice_slot_alloc_with(slot, size, alignment, zero);
    CHECK(address > 0 ? expected == 0 : address == expected && expected < 0);
    if (address < 0) return;
    CHECK_EQUAL((uint64_t)address % alignment, 0);
    model.slots[slot] = model.block_count;
    fill_bytes(model_make(CSLICE__HEAP, size, (void *)(uintptr_t)address), zero != 0);
}

static void op_adopt(uint64_t failing) {
    static const cslice__kind kinds[] = {CSLICE__PTR, CSLICE__PTR_SIZE, CSLICE__CTX_PTR};
    uint64_t functions[] = {FUNCTION(end_block), FUNCTION(end_block_size), FUNCTION(end_block_context)};
    uint32_t slot = read_slot(), signature = read_byte() % 4;
    uint64_t data = ADDRESS(&model.blocks[model.block_count]), size = read_byte();
    uint64_t function = signature < 3 ? functions[signature] : FUNCTION(end_block);
    int expected = !vacant(slot) ? CSLICE_ESLOT : signature == 3 ? CSLICE_EINVAL : 0;
    if (expected == 0 && failing == 1) expected = CSLICE_ENOMEM;
    CHECK_EQUAL(cslice_slot_adopt(slot, data, size, function, signature, data), expected);
    if (expected != 0) return;
    model.slots[slot] = model.block_count;
    model_make(kinds[signature], size, NULL);
}

static void op_adopt_callback(uint64_t failing) {
    uint32_t slot = read_slot();
    uint64_t data = ADDRESS(&model.blocks[model.block_count]), size = read_byte();
    int expected = !vacant(slot) ? CSLICE_ESLOT : failing == 1 ? CSLICE_ENOMEM : 0;
    int64_t name = cslice_slot_adopt_callback(slot, data, size, ADDRESS(model.mailbox));
    CHECK(name > 0 ? expected == 0 : name == expected && expected < 0);
    if (name < 0) return;
    model.slots[slot] = model.block_count;
    model_make(CSLICE__CALLBACK, size, NULL)->name = name;
}

static void op_ref(uint64_t failing) {
    (void)failing;
    uint32_t slot = read_slot(), from = read_slot();
    int expected = vacant(slot) && full(from) ? 0 : CSLICE_ESLOT;
    CHECK_EQUAL(cslice_slot_ref(slot, from), expected);
    if (expected != 0) return;
    model.slots[slot] = model.slots[from];
    model.blocks[model.slots[slot]].references++;
}

static void op_release(uint64_t failing) {
    (void)failing;
    uint32_t slot = read_slot();
    cslice_slot_release(slot);
    model_empty(slot, &model.counts.released_by_scope);
}

static void op_put_aside(uint64_t failing) {
    (void)failing;
    uint32_t slot = read_slot();
    model_block *block = full(slot) ? &model.blocks[model.slots[slot]] : NULL;
    if (account() == NULL) return; /* its allocation had failed */
    CHECK_EQUAL(account()->capacity == 0, model.limit != 0);
    if (block != NULL && block->kind == CSLICE__HEAP && block->references == 1) model_put_aside(block);
}

static void op_release_aside(uint64_t failing) {
    (void)failing;
    uint32_t slot = read_any_slot();
    model_block *block = aside_in(slot);
    if (block == NULL) return;
    account()->released--;
    cslice_slot_release(slot);
    account()->bytes -= (double)block->size;
    block->aside = false;
    model.slots[slot] = NONE;
}

static void op_renew(uint64_t failing) {
    (void)failing;
    uint32_t slots[7], count = read_byte() % 8;
    int expected = 0;
    for (uint32_t i = 0; i < count; i++) slots[i] = read_any_slot();
    for (uint32_t i = 0; i < count && expected == 0; i++) {
        const model_block *block = full(slots[i]) ? &model.blocks[model.slots[slots[i]]] : NULL;
        if (block == NULL) {
            expected = CSLICE_ESLOT;
        } else if (block->kind != CSLICE__HEAP || block->references > 1) {
            expected = CSLICE_EINVAL;
        }
    }
    CHECK_EQUAL(cslice_slots_renew(slots, count), expected);
    if (expected != 0) return;
    for (uint32_t i = 0; i < count; i++) {
        model_block *block = &model.blocks[model.slots[slots[i]]];
        CHECK(all_zero(block->data, (size_t)block->size));
    }
    for (uint32_t i = 0; i < count; i++) {
        model_block *block = &model.blocks[model.slots[slots[i]]];
        memset(block->data, (int)(block - model.blocks), (size_t)block->size);
    }
}

static void op_collect(uint64_t failing) {
    (void)failing;
    uint32_t slots[7], count = read_byte() % 8;
    for (uint32_t i = 0; i < count; i++) slots[i] = read_slot();
    cslice_slots_collect(slots, count);
    for (uint32_t i = 0; i < count; i++) model_empty(slots[i], &model.counts.released_by_collection);
}

static void op_disown(uint64_t failing) {
    (void)failing;
    uint32_t slot = read_slot();
    int64_t status = cslice_slot_disown(slot);
    if (!full(slot)) {
        CHECK_EQUAL(status, CSLICE_ESLOT);
        return;
    }
    model_block *block = &model.blocks[model.slots[slot]];
    if (block->references != 1) {
        CHECK_EQUAL(status, CSLICE_EINVAL);
        return;
    }
    CHECK(block->kind == CSLICE__CALLBACK ? status > 0 : status == 0);
    if (block->kind == CSLICE__HEAP) free(block->data);
    model_forget(block);
    model.counts.disowned_blocks++;
    model.slots[slot] = NONE;
}

static void op_limit(uint64_t failing) {
    (void)failing;
    model.limit = read_byte() * (uint64_t)20;
    cslice_limit_set(model.limit);
}

static void op_take(uint64_t failing) {
    (void)failing;
    int64_t expected = model.first_posted < model.last_posted ? model.posted[model.first_posted++] : 0;
    CHECK_EQUAL(cslice_callback_take(ADDRESS(model.mailbox)), expected);
}

static void handle_new(uint32_t i, uint64_t failing) {
    uint64_t size = read_size();
    int expected = expect_alloc(size);
    if (expected == 0 && failing != 0 && failing <= 2) expected = CSLICE_ENOMEM;
    CHECK_EQUAL(cslice_block_new((size_t)size, &model.handles[i].block), expected);
    if (expected != 0) return;
    model.handles[i].index = model.block_count;
    fill_bytes(model_make(CSLICE__HEAP, size, cslice_block_data(model.handles[i].block)), true);
}

static void handle_adopt(uint32_t i, uint64_t failing) {
    model_block *data = &model.blocks[model.block_count];
    uint64_t size = read_byte();
    int expected = failing == 1 ? CSLICE_ENOMEM : 0;
    CHECK_EQUAL(cslice_block_adopt(data, (size_t)size, end_block_free, data, &model.handles[i].block), expected);
    if (expected != 0) return;
    model.handles[i].index = model.block_count;
    model_make(CSLICE__FREE_FUNCTION, size, NULL);
}

static void handle_unref(uint32_t i) {
    cslice_block_unref(model.handles[i].block);
    if (model.handles[i].block != NULL) model_drop(model.handles[i].index, &model.counts.released_by_c);
    model.handles[i].block = NULL;
}

static void op_handle(uint64_t failing) {
    uint32_t choice = read_byte(), i = choice % MOST_HANDLES, j = (choice >> 2) % MOST_HANDLES;
    if (model.handles[i].block != NULL && model.handles[j].block == NULL) {
        model.handles[j].block = cslice_block_ref(model.handles[i].block);
        model.handles[j].index = model.handles[i].index;
        model.blocks[model.handles[j].index].references++;
    } else if (model.handles[i].block != NULL) {
        handle_unref(i);
    } else if ((choice & 128) != 0) {
        handle_new(i, failing);
    } else {
        handle_adopt(i, failing);
    }
}

static void close_model_table(void) {
    cslice__owner_close();
    for (uint32_t slot = 0; slot < model.reserved; slot++) {
        if (aside_in(slot) == NULL) model_empty(slot, &model.counts.released_by_thread_end);
    }
    model.reserved = 0;
}

static void op_reopen(uint64_t failing) {
    close_model_table();
    compare();
    CHECK_EQUAL(cslice_slots_reserve(1), CSLICE_EOWNER);
    CHECK_EQUAL(cslice__owner_open(), failing == 1 ? CSLICE_ENOMEM : 0);
    cslice_test_fail_allocation(0);
    if (failing == 1) CHECK_EQUAL(cslice__owner_open(), 0);
}

/* ---- One input ---- */

static void begin(const uint8_t *data, size_t size) {
    memset(&model, 0, sizeof model);
    input.next = data;
    input.left = size;
    model.counts = counts();
    model.mailbox = cslice__mailbox_new();
    CHECK(model.mailbox != NULL);
    open_table();
}

static void finish(void) {
    for (uint32_t i = 0; i < MOST_HANDLES; i++) handle_unref(i);
    close_model_table();
    compare();
    check_nothing_live();
    CHECK_EQUAL(cslice__mailbox_close(model.mailbox), model.last_posted - model.first_posted);
    CHECK_EQUAL(atomic_load(&model.mailbox->references), 1);
    cslice__mailbox_unref(model.mailbox);
    cslice_limit_set(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static operation *const operations[] = {op_reserve, op_reserve_too_many, op_alloc,  op_alloc_with, op_adopt,
                                            op_adopt_callback, op_ref,       op_release, op_collect,   op_disown,
                                            op_limit,   op_take,             op_handle, op_reopen,
                                            op_put_aside, op_release_aside,  op_renew};
    enum { OPERATIONS = sizeof operations / sizeof *operations };
    begin(data, size);
    while (input.left > 0 && model.block_count < MOST_BLOCKS) {
        uint32_t choice = read_byte();
        uint64_t failing = choice / OPERATIONS < 12 ? 0 : choice / OPERATIONS - 12;
        cslice_test_fail_allocation(failing);
        operations[choice % OPERATIONS](failing);
        cslice_test_fail_allocation(0);
        compare();
    }
    finish();
    return 0;
}
