/*
 * Loads the prebuilt library that the argument names as a program does at its run time, and uses what
 * differs between C libraries: thread-local counters, the allocator, the thread that frees large
 * blocks. `npm run prove platforms` compiles it for each CPU and C library.
 */
#include "check.h"
#include "cslice.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 200, LARGE = 8 << 20 };

static int (*block_new)(size_t size, cslice_block **block);
static void (*block_unref)(cslice_block *block);
static void *(*block_data)(const cslice_block *block);
static void (*statistics_get)(cslice_statistics *statistics);

static void *find(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL) fprintf(stderr, "%s\n", dlerror());
    CHECK(found != NULL);
    return found;
}

static void use(size_t size) {
    cslice_block *block;
    CHECK_EQUAL(block_new(size, &block), 0);
    unsigned char *data = block_data(block);
    CHECK(data[0] == 0 && data[size - 1] == 0);
    memset(data, 1, size > 4096 ? 4096 : size);
    block_unref(block);
}

static void *work(void *unused) {
    for (int i = 1; i <= ROUNDS; i++) use((size_t)i * 37);
    use(LARGE);
    return unused;
}

int main(int argc, char **argv) {
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library == NULL) fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    uint32_t (*abi_version)(void);
    *(void **)&abi_version = find(library, "cslice_abi_version");
    *(void **)&block_new = find(library, "cslice_block_new");
    *(void **)&block_unref = find(library, "cslice_block_unref");
    *(void **)&block_data = find(library, "cslice_block_data");
    *(void **)&statistics_get = find(library, "cslice_statistics_get");
    CHECK_EQUAL(abi_version(), CSLICE_ABI_VERSION);

    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (int i = 0; i < 20; i++) use(LARGE); /* the queue fills, and is waited for at the end */
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);

    cslice_statistics counts;
    statistics_get(&counts);
    CHECK_EQUAL(counts.live_blocks, 0);
    CHECK_EQUAL(counts.live_bytes, 0);
    CHECK_EQUAL(counts.allocated_blocks, THREADS * (ROUNDS + 1) + 20);
    CHECK_EQUAL(counts.released_by_c, counts.allocated_blocks);
    CHECK_EQUAL(dlclose(library), 0);
    puts("works");
    return 0;
}
