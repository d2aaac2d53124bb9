/* Owner tables: the references that one JavaScript thread holds, by slot, so that C can drop them all when the thread
   ends in whatever way. No other thread reads or writes a table, hence no lock. */
#include "internal.h"

typedef struct owner_table {
    cslice_block **blocks; /* by slot; NULL: empty */
    uint32_t capacity;
    uint32_t reserved;
    uint32_t users; /* environments of this thread that opened the table */
} owner_table;

static _Thread_local owner_table *table;

int cslice__owner_open(void) {
    if (table == NULL) {
        owner_table *opened = cslice__mem_alloc(sizeof *opened, 16, true);
        if (opened == NULL) return CSLICE_ENOMEM;
        table = opened;
    }
    table->users++;
    return 0;
}

void cslice__owner_close(void) {
    owner_table *closing = table;
    if (closing == NULL || --closing->users != 0) return;
    for (uint32_t slot = 0; slot < closing->reserved; slot++) {
        cslice_block *block = closing->blocks[slot];
        closing->blocks[slot] = NULL; /* first: a destructor may call back into this library */
        if (block != NULL) cslice__block_drop(block, CSLICE__BY_THREAD_END);
    }
    table = NULL;
    cslice__mem_free(closing->blocks);
    cslice__mem_free(closing);
}

int64_t cslice_slots_reserve(uint32_t count) {
    if (table == NULL) return CSLICE_EOWNER;
    if (count > UINT32_MAX / 2 - table->reserved) return CSLICE_ENOMEM;
    uint32_t needed = table->reserved + count;
    if (needed > table->capacity) {
        uint32_t capacity = needed > 2 * table->capacity ? needed : 2 * table->capacity;
        cslice_block **blocks = cslice__mem_resize(table->blocks, capacity * sizeof *blocks);
        if (blocks == NULL) return CSLICE_ENOMEM;
        table->blocks = blocks;
        table->capacity = capacity;
    }
    uint32_t first = table->reserved;
    for (uint32_t slot = first; slot < needed; slot++) table->blocks[slot] = NULL;
    table->reserved = needed;
    return first;
}

static int check_empty(uint32_t slot) {
    /* No users: the table is being closed, and a destructor that fills a slot now would never see it dropped. */
    if (table == NULL || table->users == 0) return CSLICE_EOWNER;
    return slot < table->reserved && table->blocks[slot] == NULL ? 0 : CSLICE_ESLOT;
}

static cslice_block *take(uint32_t slot) {
    if (table == NULL || slot >= table->reserved) return NULL;
    cslice_block *block = table->blocks[slot];
    table->blocks[slot] = NULL;
    return block;
}

int64_t cslice_slot_alloc(uint32_t slot, uint64_t size) {
    return cslice_slot_alloc_with(slot, size, 16, 1);
}

int64_t cslice_slot_alloc_with(uint32_t slot, uint64_t size, uint64_t alignment, uint32_t zero) {
    int status = check_empty(slot);
    if (status != 0) return status;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) return CSLICE_EINVAL;
    if (size > SIZE_MAX || alignment > SIZE_MAX) return CSLICE_ENOMEM;
    cslice_block *block;
    status = cslice__block_alloc((size_t)size, (size_t)alignment, zero != 0, &block);
    if (status != 0) return status;
    table->blocks[slot] = block;
    return (int64_t)(uintptr_t)block->data;
}

int32_t cslice_slot_adopt(uint32_t slot, uint64_t address, uint64_t size, uint64_t function, uint32_t signature,
                          uint64_t context) {
    static const cslice__kind kinds[] = {
        [CSLICE_SIGNATURE_PTR] = CSLICE__PTR,
        [CSLICE_SIGNATURE_PTR_SIZE] = CSLICE__PTR_SIZE,
        [CSLICE_SIGNATURE_CTX_PTR] = CSLICE__CTX_PTR,
    };
    int status = check_empty(slot);
    if (status != 0) return status;
    if (size > PTRDIFF_MAX) return CSLICE_EINVAL; /* before a narrower size_t cuts it */
    if (address == 0 || function == 0 || signature >= sizeof kinds / sizeof *kinds) return CSLICE_EINVAL;
    return cslice__block_adopt(kinds[signature], (void *)(uintptr_t)address, (size_t)size, (uintptr_t)function,
                               (void *)(uintptr_t)context, &table->blocks[slot]);
}

int64_t cslice_slot_adopt_callback(uint32_t slot, uint64_t address, uint64_t size, uint64_t mailbox) {
    int status = check_empty(slot);
    if (status != 0) return status;
    if (address == 0 || mailbox == 0 || size > PTRDIFF_MAX) return CSLICE_EINVAL;
    status = cslice__block_adopt_callback((cslice__mailbox *)(uintptr_t)mailbox, (void *)(uintptr_t)address,
                                          (size_t)size, &table->blocks[slot]);
    return status != 0 ? status : table->blocks[slot]->destructor.number;
}

int32_t cslice_slot_ref(uint32_t slot, uint32_t from) {
    int status = check_empty(slot);
    if (status != 0) return status;
    if (from >= table->reserved || table->blocks[from] == NULL) return CSLICE_ESLOT;
    table->blocks[slot] = cslice_block_ref(table->blocks[from]);
    return 0;
}

void cslice_slot_release(uint32_t slot) {
    cslice_block *block = take(slot);
    if (block != NULL) cslice__block_drop(block, CSLICE__BY_SCOPE);
}

void cslice_slots_collect(const uint32_t *slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        cslice_block *block = take(slots[i]);
        if (block != NULL) cslice__block_drop(block, CSLICE__BY_COLLECTION);
    }
}

int64_t cslice_slot_disown(uint32_t slot) {
    if (table == NULL) return CSLICE_EOWNER;
    if (slot >= table->reserved || table->blocks[slot] == NULL) return CSLICE_ESLOT;
    cslice_block *block = table->blocks[slot];
    int64_t callback = block->kind == CSLICE__CALLBACK ? block->destructor.number : 0;
    int status = cslice__block_disown(block);
    if (status != 0) return status;
    table->blocks[slot] = NULL;
    return callback;
}
