/* What the tests need of a C library: memory to hand over, and destructors that say how they were
 * called. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t calls;
    uint64_t address;
    uint64_t size;
    uint64_t context;
} last;

void *fixture_make(size_t size) {
    unsigned char *memory = malloc(size == 0 ? 1 : size);
    for (size_t i = 0; memory != NULL && i < size; i++) memory[i] = (unsigned char)i;
    return memory;
}

/* The article's GetData(): C keeps and frees these bytes. */
const uint8_t *fixture_data(void) {
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8};
    return data;
}

static void note(void *context, void *memory, size_t size) {
    last.calls++;
    last.context = (uintptr_t)context;
    last.address = (uintptr_t)memory;
    last.size = size;
}

void fixture_free(void *memory) {
    note(NULL, memory, 0);
    free(memory);
}

void fixture_free_sized(void *memory, size_t size) {
    note(NULL, memory, size);
    memset(memory, 0xdd, size);
    free(memory);
}

void fixture_free_in(void *context, void *memory) {
    note(context, memory, 0);
    free(memory);
}

void fixture_last(uint64_t *calls_address_size_context) {
    memcpy(calls_address_size_context, &last, sizeof last);
}
