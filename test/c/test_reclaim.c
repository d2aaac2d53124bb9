#include "support.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGE = 8 << 20 };

static void release_large(size_t size) {
    cslice_block *block;
    CHECK_EQUAL(cslice_block_new(size, &block), 0);
    memset(cslice_block_data(block), 1, 1);
    cslice_block_unref(block);
}

static void test_statistics_do_not_wait(void) {
    cslice_statistics before, after;
    cslice_statistics_get(&before);
    for (int i = 0; i < 200; i++) release_large(LARGE); /* more than the queue holds */
    cslice_statistics_get(&after);
    CHECK_EQUAL(after.live_bytes, before.live_bytes);
    CHECK_EQUAL(after.live_blocks, before.live_blocks);
    cslice__reclaim_wait();
}

static void *release_some(void *unused) {
    for (int i = 0; i < 20; i++) release_large(LARGE + (size_t)i);
    return unused;
}

static void test_threads_release_at_once(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, release_some, NULL), 0);
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    cslice__reclaim_wait();
}

/* A forked child has no such thread, and releases all the same. */
static void test_forked_child_releases(void) {
    pid_t child = fork();
    if (child == 0) {
        release_large(LARGE);
        cslice__reclaim_wait();
        CHECK_EQUAL(counts().reclaim_bytes, 0);
        exit(0);
    }
    int status = 1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

/* Where the system has no thread left for it, the releasing thread frees. Not yet started here. */
static void test_no_thread(void) {
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (under_valgrind()) return; /* these tools need memory of their own */
    pid_t child = fork();
    if (child == 0) {
        cslice_block *blocks[2];
        for (int i = 0; i < 2; i++) CHECK_EQUAL(cslice_block_new(LARGE, &blocks[i]), 0);
        const struct rlimit none = {0, 0};
        CHECK_EQUAL(setrlimit(RLIMIT_AS, &none), 0);
        for (int i = 0; i < 2; i++) cslice_block_unref(blocks[i]);
        cslice__reclaim_wait();
        CHECK_EQUAL(counts().reclaim_bytes, 0);
        check_nothing_live();
        _exit(0);
    }
    int status = 1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
#endif
}

int main(void) {
    test_no_thread();
    test_statistics_do_not_wait();
    test_threads_release_at_once();
    test_forked_child_releases();
    release_large(LARGE); /* on its way when the process ends */
    return 0;
}
