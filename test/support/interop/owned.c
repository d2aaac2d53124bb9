/* C functions that hand over memory in every way, well and badly. What they made and what came back
 * is counted. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t made;
    uint64_t freed;
    uint64_t last_address;
    uint64_t last_size;
} counts;

static const char *message = "";

struct own_buffer {
    int32_t tag;
    void *data;
    uint32_t size;
};

enum { SUCCEED, FAIL_BEFORE, FAIL_AFTER, FAIL_BETWEEN, SUCCEED_WITHOUT };

static unsigned char *make(size_t size) {
    unsigned char *memory = malloc(size == 0 ? 1 : size);
    for (size_t i = 0; i < size; i++) memory[i] = (unsigned char)(i + 1);
    counts.made++;
    return memory;
}

static int fail(const char *why, int error) {
    message = why;
    errno = error;
    return -1;
}

int own_read(size_t size, int how, void **data, size_t *length) {
    if (how == FAIL_BEFORE) return fail("nothing there", ENOENT);
    if (how == SUCCEED_WITHOUT) return 0;
    *data = make(size);
    if (how == FAIL_BETWEEN) return fail("no length", EDOM);
    *length = size;
    return how == FAIL_AFTER ? fail("broken off", EIO) : 0;
}

int own_fill(struct own_buffer *buffer, size_t size, int how) {
    if (how == FAIL_BEFORE) return fail("nothing there", ENOENT);
    buffer->tag = 7;
    buffer->data = make(size);
    if (how == FAIL_BETWEEN) return fail("no length", EDOM);
    buffer->size = (uint32_t)size;
    return how == FAIL_AFTER ? fail("broken off", EIO) : 0;
}

int own_report(size_t size, int64_t reported, void **data, int64_t *length) {
    *data = make(size);
    *length = reported;
    return 0;
}

void *own_make(size_t size) {
    if (size > 1000000) {
        errno = ENOMEM;
        return NULL;
    }
    return make(size);
}

void *own_make_sized(size_t size, size_t *length) {
    *length = size;
    return own_make(size);
}

int own_swap(void **data, size_t *length) {
    unsigned char *memory = make(*length);
    *data = memory;
    *length /= 2;
    return 0;
}

uint32_t own_count(size_t size, void **data) {
    *data = make(size);
    return (uint32_t)size;
}

int own_quiet_failure(void **data) {
    *data = NULL;
    return -3;
}

void *own_copy(const void *source, size_t size) {
    unsigned char *memory = make(size);
    memcpy(memory, source, size);
    return memory;
}

static char *copy_text(const char *text) {
    counts.made++;
    return strcpy(malloc(strlen(text) + 1), text);
}

void *own_text(const char *text) {
    return text == NULL ? NULL : copy_text(text);
}

void *own_latin1(void) {
    return copy_text("caf\xe9");
}

int own_text_out(const char *text, int how, void **copy) {
    if (how == FAIL_BEFORE) return fail("nothing there", ENOENT);
    *copy = copy_text(text);
    return how == FAIL_AFTER ? fail("broken off", EIO) : 0;
}

int64_t own_sum(const unsigned char *bytes, size_t size) {
    int64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += bytes[i];
    return sum;
}

const char *own_message(void) {
    return message;
}

static void end(void *memory, size_t size) {
    counts.freed++;
    counts.last_address = (uintptr_t)memory;
    counts.last_size = size;
    free(memory);
}

void own_free(void *memory) {
    end(memory, 0);
}

void own_free_sized(void *memory, size_t size) {
    end(memory, size);
}

void own_counts(uint64_t *made_freed_address_size) {
    memcpy(made_freed_address_size, &counts, sizeof counts);
}
