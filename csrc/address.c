/* What JavaScript does with a bare address: copies bytes, reads a string, keeps a library loaded.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

int32_t cslice_library_keep(uint64_t address) {
    /* A block may need it in any later moment, and koffi unloads a library as soon as its own last
       reference goes. */
    return cslice__keep_loaded((void *)(uintptr_t)address) ? 0 : CSLICE_EINVAL;
}

void cslice_copy(uint64_t destination, uint64_t source, uint64_t size) {
    if (size == 0) return; /* an empty array may be at NULL, which memmove must not be given */
    memmove((void *)(uintptr_t)destination, (const void *)(uintptr_t)source, (size_t)size);
}

void cslice_copy_in(uint64_t destination, const void *source, uint64_t size) {
    if (size == 0) return;
    memmove((void *)(uintptr_t)destination, source, (size_t)size);
}

void cslice_copy_out(void *destination, uint64_t source, uint64_t size) {
    if (size == 0) return;
    memmove(destination, (const void *)(uintptr_t)source, (size_t)size);
}

int64_t cslice_errno_address(void) {
    return (int64_t)(uintptr_t)&errno;
}

const char *cslice_string_at(uint64_t address) {
    return (const char *)(uintptr_t)address;
}

int64_t cslice_string_size(uint64_t address, uint32_t width) {
    const char *text = (const char *)(uintptr_t)address;
    if (width == 1) return (int64_t)strlen(text) + 1;
    static const char nul[4];
    size_t size = 0;
    while (memcmp(text + size, nul, width) != 0) size += width;
    return (int64_t)(size + width);
}

uint64_t cslice_address_of(const void *memory) {
    return (uintptr_t)memory;
}
