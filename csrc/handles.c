/*
 * The objects of C libraries that JavaScript owns. JavaScript does not run when its thread is terminated, so C must know
 * which destructors are due; a call for each object would double what it costs. So JavaScript writes the objects into
 * tables of C's, and they are read when the thread ends.
 */
#include "internal.h"

#include <stdlib.h>

/* As JavaScript writes it, in doubles: an address of user space is exact in one. */
struct entry {
    double address; /* 0: no object */
    double order;   /* counts up: what is newer may need what is older */
    double function; /* 0: nothing to run */
    double signature;
    double context;
};

struct table {
    struct table *next;
    size_t count;
    size_t at; /* while they are read: the next one */
    struct entry entries[];
};

static CSLICE__THREAD_LOCAL struct table *tables;

int64_t cslice_handles_table(uint32_t count) {
    struct table *table = cslice__mem_alloc(sizeof *table + count * sizeof(struct entry), 16, true);
    if (table == NULL) return CSLICE_ENOMEM;
    table->count = count;
    table->next = tables;
    tables = table;
    return (int64_t)(uintptr_t)table->entries;
}

static int newest_first(const void *a, const void *b) {
    double left = ((const struct entry *)a)->order;
    double right = ((const struct entry *)b)->order;
    return (left < right) - (left > right);
}

static struct entry *take_newest(struct table *list) {
    struct table *newest = NULL;
    for (struct table *table = list; table != NULL; table = table->next) {
        if (table->at == table->count) continue;
        if (newest == NULL || table->entries[table->at].order > newest->entries[newest->at].order) newest = table;
    }
    return newest == NULL ? NULL : &newest->entries[newest->at++];
}

static void end(const struct entry *entry) {
    if (entry->address == 0 || entry->function == 0) return;
    cslice_give_back((uint64_t)entry->address, 0, (uint64_t)entry->function, (uint32_t)entry->signature, (uint64_t)entry->context);
}

void cslice__handles_close(void) {
    struct table *list = tables;
    tables = NULL;
    for (struct table *table = list; table != NULL; table = table->next) {
        qsort(table->entries, table->count, sizeof *table->entries, newest_first);
    }
    for (struct entry *entry = take_newest(list); entry != NULL; entry = take_newest(list)) end(entry);
    while (list != NULL) {
        struct table *next = list->next;
        cslice__mem_free(list);
        list = next;
    }
}
