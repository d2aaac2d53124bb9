/* The shared library as a C or a C++ program sees it: this file is compiled as both. */
#include "cslice.h"

#include "check.h"

#include <dlfcn.h>
#include <string.h>

static int ends;

static void end(void *data, size_t size, void *context) {
    ends++;
    CHECK_EQUAL(size, 3);
    CHECK(data == context);
}

static void end_one(void *data) {
    ++*(int *)data;
}

static void test_version_and_messages(void) {
    CHECK_EQUAL(cslice_abi_version(), CSLICE_ABI_VERSION);
    CHECK(strcmp(cslice_status_message(0), "success") == 0);
    CHECK(strcmp(cslice_status_message(CSLICE_ENOMEM), "unknown status") != 0);
}

static void test_blocks(void) {
    cslice_block *block = NULL;
    char data[3] = {1, 2, 3};
    CHECK_EQUAL(cslice_block_new(10, &block), 0);
    memset(cslice_block_data(block), 1, cslice_block_size(block));
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_adopt(data, sizeof data, end, data, &block), 0);
    cslice_block_unref(cslice_block_ref(block));
    CHECK_EQUAL(ends, 0);
    cslice_block_unref(block);
    CHECK_EQUAL(ends, 1);
    CHECK_EQUAL(cslice_block_adopt(data, sizeof data, NULL, NULL, &block), 0);
    cslice_block_unref(block);
}

static double address_of(const cslice_block *block) {
    return (double)(uintptr_t)block;
}

/* Only the Node-API module opens a thread, so that this one has no account and no mailbox. */
static void test_for_javascript(void) {
    int ended = 0;
    uint64_t data = (uint64_t)(uintptr_t)&ended, function = (uint64_t)(uintptr_t)&end_one;
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_reuse_account(), 0);
    CHECK_EQUAL(cslice_due_next(0), 0);
    cslice_give_back(data, sizeof ended, function, CSLICE_SIGNATURE_PTR, 0);
    CHECK_EQUAL(ended, 1);
    CHECK_EQUAL(cslice_block_new(10, &block), 0);
    memset(cslice_block_data(block), 1, 10);
    double address = address_of(block);
    CHECK_EQUAL(cslice_blocks_renew(&address, 1), 0);
    CHECK_EQUAL(*(char *)cslice_block_data(block), 0);
    cslice_block_ref(block);
    CHECK_EQUAL(cslice_blocks_renew(&address, 1), CSLICE_EINVAL);
    cslice_block_unref(block);
    cslice_unref((uint64_t)(uintptr_t)block);
    cslice_reuse_set(0);
    cslice_reuse_set((uint64_t)4 << 20);
    cslice_count_failure();
}

static void test_addresses(void) {
    char from[] = "abc", to[4] = {0};
    cslice_copy((uint64_t)(uintptr_t)to, (uint64_t)(uintptr_t)from, 4);
    cslice_copy_in((uint64_t)(uintptr_t)to, from, 4);
    cslice_copy_out(to, (uint64_t)(uintptr_t)from, 4);
    CHECK(strcmp(to, "abc") == 0);
    CHECK_EQUAL(cslice_library_keep((uint64_t)(uintptr_t)&cslice_abi_version), 0);
    CHECK(cslice_string_at(cslice_address_of(from)) == from);
}

static void test_limit_and_failure(void) {
    cslice_block *block = NULL;
    cslice_limit_set(1);
    CHECK_EQUAL(cslice_block_new(2, &block), CSLICE_ELIMIT);
    cslice_limit_set(0);
    cslice_test_fail_allocation(1);
    CHECK_EQUAL(cslice_block_new(2, &block), CSLICE_ENOMEM);
    cslice_test_fail_allocation(0);
    CHECK(block == NULL);
}

/* What another file of the library may call is not what another program may call. */
static void test_private_names(void) {
    static const char *const names[] = {"cslice__block_alloc", "cslice__block_unref",
                                        "cslice__thread_open", "cslice__mailbox_new",
                                        "cslice__mem_alloc",   "cslice__v8_buffer"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK(dlsym(RTLD_DEFAULT, names[i]) == NULL);
    CHECK(dlsym(RTLD_DEFAULT, "cslice_block_new") != NULL);
    CHECK(dlsym(RTLD_DEFAULT, "napi_register_module_v1") != NULL);
}

int main(void) {
    cslice_statistics statistics;
    test_version_and_messages();
    test_blocks();
    test_for_javascript();
    test_addresses();
    test_limit_and_failure();
    test_private_names();
    cslice_statistics_get(&statistics);
    CHECK_EQUAL(statistics.live_blocks, 0);
    CHECK_EQUAL(statistics.allocated_blocks, 4);
    CHECK_EQUAL(statistics.released_by_c, 4);
    CHECK_EQUAL(statistics.failed_destructors, 1);
    return 0;
}
