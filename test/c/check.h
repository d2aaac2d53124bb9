/* An assertion that names its place and ends the test. It stays on in every build, as assert does
 * not. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition) check_true((condition), #condition, __FILE__, __LINE__)

/* For integers of any type; both are shown as signed ones, since most are codes. */
#define CHECK_EQUAL(actual, expected)                                                              \
    check_equal((int64_t)(actual), (int64_t)(expected), #actual " == " #expected, __FILE__,        \
                __LINE__)

static inline void check_true(bool passed, const char *text, const char *file, int line) {
    if (passed) return;
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    exit(1);
}

static inline void check_equal(int64_t actual, int64_t expected, const char *text, const char *file,
                               int line) {
    if (actual == expected) return;
    fprintf(stderr, "%s:%d: failed: %s: %" PRId64 " and %" PRId64 "\n", file, line, text, actual,
            expected);
    exit(1);
}

#endif
