/*
 * The objects of C libraries that JavaScript owns. JavaScript does not run when its thread is
 * terminated, so C must know which destructors are due; a call for each object would double what it
 * costs. So JavaScript writes the objects into tables of C's, and they are read when the thread has
 * ended.
 *
 * Memory may need an object: a buffer that a library allots from a context. Such memory is a block
 * whose destructor is `keeper_end`. The objects of an ended thread wait for the last of these
 * blocks, which may be in another thread by then.
 */
#include "internal.h"

#include <stdatomic.h>
#include <stdlib.h>

/* As JavaScript writes it, in doubles: an address of user space is exact in one. */
struct entry {
    double address;   /* 0: nothing */
    double order;     /* counts up: what is newer may need what is older */
    double function;  /* 0: nothing to run */
    double signature; /* or IS_BLOCK */
    double context;
};

/* The address is that of a block that an object needs. */
#define IS_BLOCK 3

struct table {
    struct table *next;
    size_t count;
    size_t at; /* while they are read: the next one */
    struct entry entries[];
};

/* What a thread owns. */
struct objects {
    atomic_size_t references; /* of the thread, and of each block that needs an object */
    struct table *tables;
    bool holds_blocks; /* the thread has ended, and V8 may end its blocks before the objects that
                          need them */
};

/* Of a block that needs objects. */
struct keeper {
    struct objects *objects;
    int64_t number;
    size_t size;
    uint64_t function;
    uint32_t signature;
    uint64_t context;
    struct keeper *next;
};

static _Thread_local struct objects *mine;

/* Keepers of this thread whose block has ended, which JavaScript has not been told about. */
static _Thread_local struct keeper *ended;

static struct objects *open_objects(void) {
    if (mine != NULL) return mine;
    mine = cslice__mem_alloc(sizeof *mine, 16, true);
    if (mine != NULL) atomic_init(&mine->references, 1);
    return mine;
}

int64_t cslice_handles_table(uint32_t count) {
    struct objects *objects = open_objects();
    if (objects == NULL) return CSLICE_ENOMEM;
    struct table *table = cslice__mem_alloc(sizeof *table + count * sizeof(struct entry), 16, true);
    if (table == NULL) return CSLICE_ENOMEM;
    table->count = count;
    table->next = objects->tables;
    objects->tables = table;
    return (int64_t)(uintptr_t)table->entries;
}

/* ---- the end of a thread's objects ---- */

static int newest_first(const void *a, const void *b) {
    double left = ((const struct entry *)a)->order;
    double right = ((const struct entry *)b)->order;
    return (left < right) - (left > right);
}

static struct entry *take_newest(struct table *list) {
    struct table *newest = NULL;
    for (struct table *table = list; table != NULL; table = table->next) {
        if (table->at == table->count) continue;
        if (newest == NULL || table->entries[table->at].order > newest->entries[newest->at].order)
            newest = table;
    }
    return newest == NULL ? NULL : &newest->entries[newest->at++];
}

static void end(const struct entry *entry, bool holds_blocks) {
    if (entry->address == 0) return;
    uint64_t address = (uint64_t)entry->address;
    if (entry->signature == IS_BLOCK) {
        if (holds_blocks) cslice_block_unref((cslice_block *)(uintptr_t)address);
    } else if (entry->function != 0) {
        cslice_give_back(address, 0, (uint64_t)entry->function, (uint32_t)entry->signature,
                         (uint64_t)entry->context);
    }
}

static void end_all(struct objects *objects) {
    struct table *list = objects->tables;
    for (struct table *table = list; table != NULL; table = table->next) {
        qsort(table->entries, table->count, sizeof *table->entries, newest_first);
    }
    for (struct entry *entry; (entry = take_newest(list)) != NULL;)
        end(entry, objects->holds_blocks);
    while (list != NULL) {
        struct table *next = list->next;
        cslice__mem_free(list);
        list = next;
    }
    cslice__mem_free(objects);
}

static void drop(struct objects *objects) {
    if (atomic_fetch_sub_explicit(&objects->references, 1, memory_order_acq_rel) == 1)
        end_all(objects);
}

static void hold_blocks(struct objects *objects) {
    objects->holds_blocks = true;
    for (struct table *table = objects->tables; table != NULL; table = table->next) {
        for (size_t i = 0; i < table->count; i++) {
            const struct entry *entry = &table->entries[i];
            if (entry->address == 0 || entry->signature != IS_BLOCK) continue;
            cslice_block_ref((cslice_block *)(uintptr_t)(uint64_t)entry->address);
        }
    }
}

void cslice__handles_close(void) {
    struct objects *objects = mine;
    mine = NULL;
    while (cslice__handles_next_ended() != 0) continue;
    if (objects == NULL) return;
    if (atomic_load_explicit(&objects->references, memory_order_acquire) > 1) hold_blocks(objects);
    drop(objects);
}

/* ---- memory that needs objects ---- */

static void keeper_end(void *context, void *data) {
    struct keeper *keeper = context;
    struct objects *objects = keeper->objects;
    cslice_give_back((uint64_t)(uintptr_t)data, keeper->size, keeper->function, keeper->signature,
                     keeper->context);
    if (objects == mine) {
        keeper->next = ended;
        ended = keeper;
    } else {
        cslice__mem_free(keeper);
    }
    drop(objects);
}

int64_t cslice_keeper_function(void) {
    return (int64_t)(uintptr_t)keeper_end;
}

int64_t cslice_keeper_new(uint64_t number, uint64_t size, uint64_t function, uint32_t signature,
                          uint64_t context) {
    struct objects *objects = open_objects();
    struct keeper *keeper = objects == NULL ? NULL : cslice__mem_alloc(sizeof *keeper, 16, false);
    if (keeper == NULL) return CSLICE_ENOMEM;
    atomic_fetch_add_explicit(&objects->references, 1, memory_order_relaxed);
    *keeper =
        (struct keeper){objects, (int64_t)number, (size_t)size, function, signature, context, NULL};
    return (int64_t)(uintptr_t)keeper;
}

void cslice_keeper_free(uint64_t keeper) {
    if (keeper == 0) return;
    struct objects *objects = ((struct keeper *)(uintptr_t)keeper)->objects;
    cslice__mem_free((void *)(uintptr_t)keeper);
    drop(objects);
}

int64_t cslice__handles_next_ended(void) {
    struct keeper *keeper = ended;
    if (keeper == NULL) return 0;
    int64_t number = keeper->number;
    ended = keeper->next;
    cslice__mem_free(keeper);
    return number;
}
