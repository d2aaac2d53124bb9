/* C functions that work on memory for a while, destructors that notice if memory goes in the
   meantime, and a block that many threads use while one releases it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_USES 64

static _Atomic(uintptr_t) in_use[MOST_USES];
static atomic_ulong started, finished, freed, freed_in_use;

static unsigned begin_use(void *memory) {
    for (unsigned i = 0;; i = (i + 1) % MOST_USES) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&in_use[i], &none, (uintptr_t)memory)) {
            atomic_fetch_add(&started, 1);
            return i;
        }
    }
}

static void end_use(unsigned use) {
    atomic_store(&in_use[use], 0);
    atomic_fetch_add(&finished, 1);
}

static atomic_int gate_is_open;

void threads_gate(int open) {
    atomic_store(&gate_is_open, open);
}

/* A test that fails must not hang: no gate stays closed for more than 20 seconds. */
static void wait_for(int milliseconds) {
    if (milliseconds >= 0) usleep((useconds_t)milliseconds * 1000);
    for (int i = 0; milliseconds < 0 && i < 20000 && !atomic_load(&gate_is_open); i++) usleep(1000);
}

/* Waits (where `milliseconds` is negative: for the gate), fills the memory, and returns the sum of
 * its bytes. */
uint64_t threads_fill_later(uint8_t *memory, size_t size, int byte, int milliseconds) {
    unsigned use = begin_use(memory);
    wait_for(milliseconds);
    memset(memory, byte, size);
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) sum += memory[i];
    end_use(use);
    return sum;
}

/* Looks at the memory, all of it `byte`, for some time. Returns how often it saw something else. */
uint64_t threads_look(const uint8_t *memory, size_t size, int byte, int microseconds) {
    unsigned use = begin_use((void *)(uintptr_t)memory);
    uint64_t wrong = 0;
    for (int passed = 0; passed <= microseconds; passed += 50) {
        for (size_t i = 0; i < size; i++) wrong += memory[i] != byte;
        usleep(50);
    }
    end_use(use);
    return wrong;
}

/* threads_fill_later with the memory in a struct. */
struct threads_job {
    uint8_t *memory;
    size_t size;
    int byte;
    int milliseconds;
};

uint64_t threads_fill_job_later(struct threads_job job) {
    return threads_fill_later(job.memory, job.size, job.byte, job.milliseconds);
}

/* The size stands in front of the memory, so that the destructor can spoil it. */
void *threads_make(size_t size) {
    size_t *memory = calloc(1, size + 2 * sizeof(size_t));
    memory[0] = size;
    return memory + 2;
}

void threads_free(void *memory) {
    for (unsigned i = 0; i < MOST_USES; i++) {
        if (atomic_load(&in_use[i]) == (uintptr_t)memory) atomic_fetch_add(&freed_in_use, 1);
    }
    atomic_fetch_add(&freed, 1);
    memset(memory, 0xdd, *((size_t *)memory - 2));
    free((size_t *)memory - 2);
}

void threads_counts(uint64_t *started_finished_freed_freed_in_use) {
    uint64_t counts[] = {started, finished, freed, freed_in_use};
    memcpy(started_finished_freed_freed_in_use, counts, sizeof counts);
}

void threads_poke(uintptr_t address, uint8_t byte) {
    *(uint8_t *)address = byte;
}

uint8_t threads_peek(uintptr_t address) {
    return *(const uint8_t *)address;
}
