/* Owner tables: the references that one JavaScript thread holds, by slot, so that C can drop them all when the thread
   ends in whatever way. No other thread reads or writes a table, hence no lock. */
#include "internal.h"

typedef struct owner_table {
    cslice_block **blocks; /* by slot; NULL: empty */
    uint32_t capacity;
    uint32_t reserved;
    uint32_t users; /* environments of this thread that opened the table */
    struct offer {  /* a share that stands for as long as its slot is full */
        uint64_t name;
        uint32_t slot;
    } *offers;
    uint32_t offers_count;
    uint32_t offers_capacity;
} owner_table;

static CSLICE__THREAD_LOCAL owner_table *table;

static void orphan_offers(uint32_t slot) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < table->offers_count; i++) {
        if (table->offers[i].slot == slot) {
            cslice__share_orphan(table->offers[i].name);
        } else {
            table->offers[kept++] = table->offers[i];
        }
    }
    table->offers_count = kept;
}

static cslice_block *take(uint32_t slot) {
    owner_table *own = table; /* looked up by a call, hence once */
    if (own == NULL || slot >= own->reserved) return NULL;
    cslice_block *block = own->blocks[slot];
    own->blocks[slot] = NULL;
    if (block != NULL && own->offers_count != 0) orphan_offers(slot);
    return block;
}

int cslice__owner_open(void) {
    if (table == NULL) {
        owner_table *opened = cslice__mem_alloc(sizeof *opened, 16, true);
        if (opened == NULL) return CSLICE_ENOMEM;
        table = opened;
        cslice__cache_open();
        cslice__counts_open();
    }
    table->users++;
    return 0;
}

void cslice__owner_close(void) {
    owner_table *closing = table;
    if (closing == NULL || --closing->users != 0) return;
    for (uint32_t slot = 0; slot < closing->reserved; slot++) {
        cslice_block *block = take(slot); /* empties it first: a destructor may call back into this library */
        if (block != NULL) cslice__block_drop(block, CSLICE__BY_THREAD_END);
    }
    table = NULL;
    cslice__counts_close();
    cslice__cache_close();
    cslice__mem_free(closing->offers);
    cslice__mem_free(closing->blocks);
    cslice__mem_free(closing);
}

int64_t cslice_slots_reserve(uint32_t count) {
    if (table == NULL) return CSLICE_EOWNER;
    if (count > UINT32_MAX / 2 - table->reserved) return CSLICE_ENOMEM;
    uint32_t needed = table->reserved + count;
    if (needed > table->capacity) {
        uint32_t capacity = needed > 2 * table->capacity ? needed : 2 * table->capacity;
        cslice_block **blocks =
            cslice__mem_resize(table->blocks, table->reserved * sizeof *blocks, capacity * sizeof *blocks, 16);
        if (blocks == NULL) return CSLICE_ENOMEM;
        table->blocks = blocks;
        table->capacity = capacity;
    }
    uint32_t first = table->reserved;
    table->reserved = needed;
    return first;
}

static int check_empty_in(const owner_table *own, uint32_t slot) {
    /* No users: the table is being closed, and a destructor that fills a slot now would never see it dropped. */
    if (own == NULL || own->users == 0) return CSLICE_EOWNER;
    return slot < own->reserved && own->blocks[slot] == NULL ? 0 : CSLICE_ESLOT;
}

static int check_empty(uint32_t slot) {
    return check_empty_in(table, slot);
}

int64_t cslice_slot_alloc(uint32_t slot, uint64_t size) {
    return cslice_slot_alloc_with(slot, size, 16, 1);
}

int64_t cslice_slot_alloc_with(uint32_t slot, uint64_t size, uint64_t alignment, uint32_t zero) {
    owner_table *own = table;
    int status = check_empty_in(own, slot);
    if (status != 0) return status;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) return CSLICE_EINVAL;
    if (size > SIZE_MAX || alignment > SIZE_MAX) return CSLICE_ENOMEM;
    cslice_block *block;
    status = cslice__block_alloc((size_t)size, (size_t)alignment, zero != 0, &block);
    if (status != 0) return status;
    own->blocks[slot] = block;
    return (int64_t)(uintptr_t)block->data;
}

static const cslice__kind kinds[] = {
    [CSLICE_SIGNATURE_PTR] = CSLICE__PTR,
    [CSLICE_SIGNATURE_PTR_SIZE] = CSLICE__PTR_SIZE,
    [CSLICE_SIGNATURE_CTX_PTR] = CSLICE__CTX_PTR,
};

int32_t cslice_slot_adopt(uint32_t slot, uint64_t address, uint64_t size, uint64_t function, uint32_t signature,
                          uint64_t context) {
    int status = check_empty(slot);
    if (status != 0) return status;
    if (size > PTRDIFF_MAX) return CSLICE_EINVAL; /* before a narrower size_t cuts it */
    if (address == 0 || function == 0 || signature >= sizeof kinds / sizeof *kinds) return CSLICE_EINVAL;
    return cslice__block_adopt(kinds[signature], (void *)(uintptr_t)address, (size_t)size, (uintptr_t)function,
                               (void *)(uintptr_t)context, &table->blocks[slot]);
}

void cslice_give_back(uint64_t address, uint64_t size, uint64_t function, uint32_t signature, uint64_t context) {
    if (function == 0 || signature >= sizeof kinds / sizeof *kinds) return;
    cslice__block_give_back(kinds[signature], (void *)(uintptr_t)address, (size_t)size, (uintptr_t)function,
                      (void *)(uintptr_t)context);
}

void cslice_block_drop(uint64_t block) {
    cslice_block_unref((cslice_block *)(uintptr_t)block);
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

int32_t cslice_slot_take(uint32_t slot, uint64_t block, uint64_t longest) {
    int status = check_empty(slot);
    if (status != 0) return status;
    cslice_block *taken = (cslice_block *)(uintptr_t)block;
    if (taken == NULL || !cslice__block_is_ours(taken) || taken->size > longest) return CSLICE_EINVAL;
    table->blocks[slot] = taken;
    return 0;
}

static int check_full(uint32_t slot) {
    if (table == NULL) return CSLICE_EOWNER;
    return slot < table->reserved && table->blocks[slot] != NULL ? 0 : CSLICE_ESLOT;
}

int64_t cslice_slot_block(uint32_t slot) {
    int status = check_full(slot);
    return status != 0 ? status : (int64_t)(uintptr_t)table->blocks[slot];
}

int64_t cslice_slot_address(uint32_t slot) {
    int status = check_full(slot);
    return status != 0 ? status : (int64_t)(uintptr_t)table->blocks[slot]->data;
}

int64_t cslice_slot_size(uint32_t slot) {
    int status = check_full(slot);
    return status != 0 ? status : (int64_t)table->blocks[slot]->size;
}

int64_t cslice_slot_resize(uint32_t slot, uint64_t size) {
    int status = check_full(slot);
    if (status != 0) return status;
    return size > SIZE_MAX ? CSLICE_ENOMEM : cslice__block_resize(table->blocks[slot], (size_t)size);
}

static bool make_room_for_offer(void) {
    if (table->offers_count < table->offers_capacity) return true;
    uint32_t capacity = table->offers_capacity == 0 ? 8 : 2 * table->offers_capacity;
    size_t size = sizeof *table->offers;
    struct offer *offers = cslice__mem_resize(table->offers, table->offers_count * size, capacity * size, 16);
    if (offers == NULL) return false;
    table->offers = offers;
    table->offers_capacity = capacity;
    return true;
}

static struct offer *find_offer(uint32_t slot) {
    for (uint32_t i = 0; i < table->offers_count; i++) {
        if (table->offers[i].slot == slot) return &table->offers[i];
    }
    return NULL;
}

int64_t cslice_slot_share(uint32_t slot, uint64_t secret, uint32_t attachments, uint32_t patience_ms) {
    int status = check_full(slot);
    if (status != 0) return status;
    const struct offer *standing = find_offer(slot);
    if (standing != NULL) {
        cslice__share_extend(standing->name, secret, attachments, patience_ms);
        return (int64_t)standing->name;
    }
    if (!make_room_for_offer()) return CSLICE_ENOMEM;
    int64_t name = cslice__share_new(table->blocks[slot], secret, attachments, patience_ms);
    if (name > 0) table->offers[table->offers_count++] = (struct offer){(uint64_t)name, slot};
    return name;
}

int32_t cslice_slot_attach(uint32_t slot, uint64_t name, uint64_t secret, uint64_t end) {
    int status = check_empty(slot);
    if (status != 0) return status;
    cslice_block *block = cslice__share_attach(name, secret, end);
    if (block == NULL) return CSLICE_ESHARED;
    table->blocks[slot] = block;
    return 0;
}

void cslice_slot_release(uint32_t slot) {
    cslice_block *block = take(slot);
    if (block != NULL) cslice__block_drop(block, CSLICE__BY_SCOPE);
}

void cslice_slots_collect(const uint32_t *slots, uint32_t count) {
    const uint32_t ahead = 8;
    for (uint32_t i = 0; i < count; i++) {
        if (i + ahead < count && check_full(slots[i + ahead]) == 0) CSLICE__PREFETCH(table->blocks[slots[i + ahead]]);
        cslice_block *block = take(slots[i]);
        if (block != NULL) cslice__block_drop(block, CSLICE__BY_COLLECTION);
    }
}

int32_t cslice_slots_renew(const uint32_t *slots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        int status = check_full(slots[i]);
        if (status != 0) return status;
        if (!cslice__block_is_renewable(table->blocks[slots[i]])) return CSLICE_EINVAL;
    }
    for (uint32_t i = 0; i < count; i++) cslice__block_zero(table->blocks[slots[i]]);
    return 0;
}

int64_t cslice_slot_disown(uint32_t slot) {
    int found = check_full(slot);
    if (found != 0) return found;
    cslice_block *block = table->blocks[slot];
    int64_t callback = block->kind == CSLICE__CALLBACK ? block->destructor.number : 0;
    int status = cslice__block_disown(block);
    if (status != 0) return status;
    table->blocks[slot] = NULL;
    return callback;
}
