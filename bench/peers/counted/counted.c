/* free() that counts its calls, in the shape of a deallocator that JavaScriptCore calls from
 * whatever thread it likes. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

void counted_free(void *memory, void *context);
uint32_t counted_frees(void);

static atomic_uint frees;

void counted_free(void *memory, void *context) {
    (void)context;
    free(memory);
    atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
}

uint32_t counted_frees(void) {
    return atomic_load(&frees);
}
