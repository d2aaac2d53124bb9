#include "check.h"
#include "cslice.h"

#include <limits.h>
#include <string.h>

static void test_messages(void) {
#define X(name, value, message)                                                                    \
    CHECK_EQUAL(CSLICE_##name, (value));                                                           \
    CHECK(strcmp(cslice_status_message(value), message) == 0);
    CSLICE_STATUS_MAP(X)
#undef X
    CHECK(strcmp(cslice_status_message(0), "success") == 0);
}

static void test_codes_differ(void) {
    static const int codes[] = {
#define X(name, value, message) value,
        CSLICE_STATUS_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        CHECK(codes[i] < 0);
        for (size_t j = 0; j < i; j++) CHECK(codes[i] != codes[j]);
    }
}

static void test_unknown(void) {
    static const int unknown[] = {1, INT_MAX, INT_MIN, -1000};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK(strcmp(cslice_status_message(unknown[i]), "unknown status") == 0);
    }
}

int main(void) {
    test_messages();
    test_codes_differ();
    test_unknown();
    CHECK_EQUAL(cslice_abi_version(), CSLICE_ABI_VERSION);
    return 0;
}
