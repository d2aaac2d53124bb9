/* The table of objects whose destructors run when their thread ends. */
#include "support.h"

#include <string.h>

enum { ADDRESS_AT, ORDER_AT, FUNCTION_AT, SIGNATURE_AT, CONTEXT_AT, WIDTH };

static char freed[16];
static char objects[] = "abcdefgh";

static void free_object(void *object) {
    freed[strlen(freed)] = *(const char *)object;
}

static double *new_table(uint32_t count) {
    int64_t address = cslice_handles_table(count);
    CHECK(address > 0);
    double *table = (double *)(uintptr_t)address;
    CHECK(all_zero(table, count * WIDTH * sizeof *table));
    return table;
}

static void fill(double *entry, char *object, double order, uint64_t function, double signature,
                 void *context) {
    entry[ADDRESS_AT] = (double)ADDRESS(object);
    entry[ORDER_AT] = order;
    entry[FUNCTION_AT] = (double)function;
    entry[SIGNATURE_AT] = signature;
    entry[CONTEXT_AT] = (double)ADDRESS(context);
}

static void test_the_newest_ends_first_over_all_tables(void) {
    static const int orders[2][3] = {{3, 8, 1}, {6, 2, 7}};
    memset(freed, 0, sizeof freed);
    for (int i = 0; i < 2; i++) {
        double *table = new_table(4);
        for (int j = 0; j < 3; j++) {
            int order = orders[i][j];
            fill(table + j * WIDTH, &objects[order - 1], order, FUNCTION(free_object), 0, NULL);
        }
    }
    cslice__handles_close();
    CHECK_EQUAL(strcmp(freed, "hgfcba"), 0);
    cslice__handles_close(); /* nothing is left */
    CHECK_EQUAL(strlen(freed), 6);
}

static void test_destructors_are_called_by_their_signature(void) {
    int context;
    const uint64_t functions[] = {FUNCTION(end_ptr), FUNCTION(end_ptr_size), FUNCTION(end_ctx_ptr)};
    for (int signature = 0; signature < 3; signature++) {
        ended_reset();
        fill(new_table(1), objects, 1, functions[signature], signature, &context);
        cslice__handles_close();
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == objects);
        CHECK_EQUAL(ended.size, 0);
        if (signature == 2) CHECK(ended.context == &context);
    }
}

static void test_what_is_no_object_or_has_no_function_is_passed_over(void) {
    ended_reset();
    double *table = new_table(3);
    fill(table, objects, 1, 0, 0, NULL);
    fill(table + WIDTH, NULL, 2, FUNCTION(end_ptr), 0, NULL);
    cslice__handles_close();
    CHECK_EQUAL(ended.times, 0);
}

static void test_a_thread_without_tables_ends_nothing(void) {
    cslice__handles_close();
}

static int64_t attempt(void *argument) {
    int64_t address = cslice_handles_table(8);
    (void)argument;
    cslice__handles_close();
    return address < 0 ? address : 0;
}

static int64_t attempt_keeper(void *argument) {
    int64_t keeper = cslice_keeper_new(1, 0, 0, CSLICE_SIGNATURE_PTR, 0);
    (void)argument;
    if (keeper > 0) cslice_keeper_free((uint64_t)keeper);
    cslice__handles_close();
    return keeper < 0 ? keeper : 0;
}

static void test_exhausted_memory_is_told(void) {
    CHECK_EQUAL(fail_each_allocation(attempt, NULL, NULL), 2);
    CHECK_EQUAL(fail_each_allocation(attempt_keeper, NULL, NULL), 2);
}

static void test_objects_wait_for_the_memory_that_needs_them(void) {
    static const int moments[] = {0, 1};
    for (int i = 0; i < 2; i++) {
        memset(freed, 0, sizeof freed);
        fill(new_table(1), &objects[0], 1, FUNCTION(free_object), 0, NULL);
        int64_t keeper = cslice_keeper_new(7, 5, FUNCTION(free_object), CSLICE_SIGNATURE_PTR, 0);
        CHECK(keeper > 0);
        bool is_told = moments[i] == 0;
        if (!is_told) cslice__handles_close();
        CHECK_EQUAL(strlen(freed), 0);
        cslice_give_back(ADDRESS(&objects[1]), 5, (uint64_t)cslice_keeper_function(),
                         CSLICE_SIGNATURE_CTX_PTR, (uint64_t)keeper);
        CHECK_EQUAL(strcmp(freed, is_told ? "b" : "ba"), 0);
        CHECK_EQUAL(cslice__handles_next_ended(), is_told ? 7 : 0);
        CHECK_EQUAL(cslice__handles_next_ended(), 0);
        cslice__handles_close();
        CHECK_EQUAL(strcmp(freed, "ba"), 0);
    }
}

static void test_a_keeper_that_no_block_has_got_keeps_nothing(void) {
    memset(freed, 0, sizeof freed);
    fill(new_table(1), &objects[0], 1, FUNCTION(free_object), 0, NULL);
    cslice_keeper_free(
        (uint64_t)cslice_keeper_new(1, 0, FUNCTION(free_object), CSLICE_SIGNATURE_PTR, 0));
    cslice_keeper_free(0);
    cslice__handles_close();
    CHECK_EQUAL(strcmp(freed, "a"), 0);
}

static void test_blocks_that_objects_need_wait_with_them(void) {
    memset(freed, 0, sizeof freed);
    cslice_block *block;
    CHECK_EQUAL(cslice__block_alloc(64, 16, true, &block), 0);
    double *table = new_table(2);
    fill(table, (char *)block, 1, 0, 3, NULL);
    fill(table + WIDTH, &objects[0], 2, FUNCTION(free_object), 0, NULL);
    int64_t keeper = cslice_keeper_new(7, 5, FUNCTION(free_object), CSLICE_SIGNATURE_PTR, 0);
    cslice__handles_close();
    cslice_block_unref(block); /* as V8 does */
    memset(cslice_block_data(block), 1, 64);
    cslice_give_back(ADDRESS(&objects[1]), 5, (uint64_t)cslice_keeper_function(),
                     CSLICE_SIGNATURE_CTX_PTR, (uint64_t)keeper);
    CHECK_EQUAL(strcmp(freed, "ba"), 0);
}

int main(void) {
    test_the_newest_ends_first_over_all_tables();
    test_destructors_are_called_by_their_signature();
    test_what_is_no_object_or_has_no_function_is_passed_over();
    test_a_thread_without_tables_ends_nothing();
    test_objects_wait_for_the_memory_that_needs_them();
    test_a_keeper_that_no_block_has_got_keeps_nothing();
    test_blocks_that_objects_need_wait_with_them();
    test_exhausted_memory_is_told();
    check_nothing_live();
    return 0;
}
