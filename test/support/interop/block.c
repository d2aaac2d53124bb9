/* A C library that works with the blocks of cslice.h: it makes them, keeps them, and fills them
 * from a thread. */
#include "cslice.h"

#include <pthread.h>
#include <stdlib.h>

static cslice_block *kept;
static uint64_t ended_times;
static uint64_t ended_size;
static char still[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void end(void *data, size_t size, void *context) {
    (void)context;
    ended_times++;
    ended_size = size;
    if (data != still) free(data);
}

void *blk_new(size_t size) {
    cslice_block *block = NULL;
    if (cslice_block_new(size, &block) != 0) return NULL;
    unsigned char *bytes = cslice_block_data(block);
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)i;
    return block;
}

/* Memory without an owner, at any size: what cannot be viewed must not be viewed. */
void *blk_pretend(uint64_t size) {
    cslice_block *block = NULL;
    return cslice_block_adopt(still, size, end, NULL, &block) == 0 ? block : NULL;
}

void *blk_empty(void) {
    cslice_block *block = NULL;
    return cslice_block_adopt(NULL, 0, NULL, NULL, &block) == 0 ? block : NULL;
}

/* Fails half way where `size` is odd: the block is there, and so is the error. */
int blk_open(size_t size, void **block) {
    if (size == 0) return -1;
    *block = blk_new(size);
    return size % 2 == 0 ? 0 : -2;
}

void blk_keep(cslice_block *block) {
    kept = cslice_block_ref(block);
}

int blk_byte(size_t i) {
    return ((unsigned char *)cslice_block_data(kept))[i];
}

void blk_set(size_t i, int byte) {
    ((unsigned char *)cslice_block_data(kept))[i] = (unsigned char)byte;
}

uint64_t blk_size(void) {
    return cslice_block_size(kept);
}

void blk_forget(void) {
    cslice_block_unref(kept);
    kept = NULL;
}

uint64_t blk_ended(void) {
    return ended_times;
}

uint64_t blk_ended_size(void) {
    return ended_size;
}

static pthread_t thread;

static void *fill(void *block) {
    unsigned char *bytes = cslice_block_data(block);
    for (size_t i = 0; i < cslice_block_size(block); i++) bytes[i] = 42;
    cslice_block_unref(block);
    return NULL;
}

int blk_fill_in_thread(cslice_block *block) {
    return pthread_create(&thread, NULL, fill, cslice_block_ref(block));
}

int blk_join(void) {
    return pthread_join(thread, NULL);
}
