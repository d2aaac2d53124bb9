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

static void fill(double *entry, char *object, double order, uint64_t function, double signature, void *context) {
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

static void test_exhausted_memory_is_told(void) {
    CHECK_EQUAL(fail_each_allocation(attempt, NULL, NULL), 1);
}

int main(void) {
    test_the_newest_ends_first_over_all_tables();
    test_destructors_are_called_by_their_signature();
    test_what_is_no_object_or_has_no_function_is_passed_over();
    test_a_thread_without_tables_ends_nothing();
    test_exhausted_memory_is_told();
    check_nothing_live();
    return 0;
}
