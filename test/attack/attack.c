/* What the attack needs of a C library: memory that counts its endings, a destructor that calls
 * back, and slow readers. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 65536

/* Before each block, so that a destructor knows whose it is. The size keeps what follows aligned
 * to 16. */
typedef struct {
    uint64_t id;
    uint64_t size;
} header;

static uint32_t ended[MOST];
static void (*logger)(uint32_t id);
static pthread_t owner;

void *attack_make(uint32_t id, size_t size) {
    header *block = malloc(sizeof *block + size);
    if (block == NULL) return NULL;
    block->id = id;
    block->size = size;
    memset(block + 1, 0, size);
    __atomic_store_n(&ended[id % MOST], 0, __ATOMIC_SEQ_CST);
    return block + 1;
}

/* Gives the memory back and counts nothing: for JavaScript destructors, and for what was disowned.
 */
void attack_discard(void *memory) {
    header *block = (header *)memory - 1;
    memset(block, 0xdd, sizeof *block + block->size);
    free(block);
}

void attack_free(void *memory) {
    uint32_t id = (uint32_t)((header *)memory - 1)->id;
    attack_discard(memory);
    __atomic_add_fetch(&ended[id % MOST], 1, __ATOMIC_SEQ_CST);
}

void attack_free_sized(void *memory, size_t size) {
    if (((header *)memory - 1)->size != size) abort();
    attack_free(memory);
}

void attack_free_in(void *context, void *memory) {
    if (context != (void *)7) abort();
    attack_free(memory);
}

/* Calls JavaScript first, where a thread may do that. */
void attack_free_and_log(void *memory) {
    uint32_t id = (uint32_t)((header *)memory - 1)->id;
    attack_free(memory);
    if (logger != NULL && pthread_equal(owner, pthread_self())) logger(id);
}

void attack_set_logger(void (*function)(uint32_t)) {
    logger = function;
    owner = pthread_self();
}

uint32_t attack_ended(uint32_t id) {
    return __atomic_load_n(&ended[id % MOST], __ATOMIC_SEQ_CST);
}

/* Takes anything, and touches nothing. */
int attack_ignore(const void *memory, const char *text, int8_t small, uint64_t wide, double real,
                  _Bool flag) {
    return memory != 0 && text != 0 && small != 0 && wide != 0 && real != 0 && flag;
}

int attack_ignore_filled(const void *struct_, const void *array, void *out, void *inout) {
    return struct_ != 0 && array != 0 && out != 0 && inout != 0;
}

static uint64_t sum(const unsigned char *memory, size_t size) {
    uint64_t total = 0;
    for (size_t i = 0; i < size; i++) total = total * 31 + memory[i];
    return total;
}

/* 1 if the bytes change while it looks at them, which takes the given time. */
uint32_t attack_watch(const unsigned char *memory, size_t size, uint32_t microseconds) {
    uint64_t before = sum(memory, size);
    usleep(microseconds);
    return sum(memory, size) != before;
}
