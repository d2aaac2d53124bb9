/* The objects of C libraries that JavaScript owns: what ends them when their thread does. */
#include "internal.h"

#include <stdlib.h>

/* As JavaScript writes it, in doubles: an address of user space is exact in one. */
struct entry {
    double address; /* 0: no object */
    double order;   /* counts up: what is newer may need what is older */
    double function;
    double signature;
    double context;
};

static int newest_first(const void *a, const void *b) {
    double left = ((const struct entry *)a)->order;
    double right = ((const struct entry *)b)->order;
    return (left < right) - (left > right);
}

void cslice_handles_end(void *table, size_t size) {
    struct entry *entries = table;
    size_t count = size / sizeof *entries;
    qsort(entries, count, sizeof *entries, newest_first);
    for (size_t i = 0; i < count; i++) {
        uintptr_t address = (uintptr_t)entries[i].address;
        if (address == 0) continue;
        cslice_give_back(address, 0, (uint64_t)entries[i].function, (uint32_t)entries[i].signature,
                         (uint64_t)entries[i].context);
    }
    cslice__mem_free(table);
}
