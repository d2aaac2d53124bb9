#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static void test_copies(void) {
    char from[64], to[64];
    for (int i = 0; i < 64; i++) from[i] = (char)i;
    static const size_t sizes[] = {0, 1, 63, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(to, -1, sizeof to);
        cslice_copy(ADDRESS(to), ADDRESS(from), sizes[i]);
        CHECK(memcmp(to, from, sizes[i]) == 0 && (sizes[i] == 64 || to[sizes[i]] == -1));
        memset(to, -1, sizeof to);
        cslice_copy_in(ADDRESS(to), from, sizes[i]);
        CHECK(memcmp(to, from, sizes[i]) == 0 && (sizes[i] == 64 || to[sizes[i]] == -1));
        memset(to, -1, sizeof to);
        cslice_copy_out(to, ADDRESS(from), sizes[i]);
        CHECK(memcmp(to, from, sizes[i]) == 0 && (sizes[i] == 64 || to[sizes[i]] == -1));
    }
}

static void test_overlapping_copy(void) {
    char text[] = "0123456789";
    cslice_copy(ADDRESS(text + 2), ADDRESS(text), 8);
    CHECK(strcmp(text, "0101234567") == 0);
    cslice_copy(ADDRESS(text), ADDRESS(text + 2), 8);
    CHECK(strcmp(text, "0123456767") == 0);
}

static bool loaded(const char *path) {
    void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (library != NULL) dlclose(library);
    return library != NULL;
}

static void test_keep(const char *plugin) {
    void *library = dlopen(plugin, RTLD_LAZY);
    CHECK(library != NULL);
    dlclose(library);
#if defined(__GLIBC__)
    CHECK(!loaded(plugin)); /* else the rest shows nothing; musl never unloads */
#endif
    library = dlopen(plugin, RTLD_LAZY);
    CHECK(library != NULL);
    void *symbol = dlsym(library, "plugin_free");
    errno = EDOM;
    CHECK_EQUAL(cslice_library_keep(ADDRESS(symbol)), 0);
    CHECK_EQUAL(cslice_library_keep(ADDRESS(symbol)), 0);
    CHECK_EQUAL(errno, EDOM);
    dlclose(library);
    CHECK(loaded(plugin));
    int calls = 0;
    void (*function)(void *);
    memcpy(&function, &symbol, sizeof function);
    function(&calls);
    CHECK_EQUAL(calls, 1);
}

static void test_keep_other_addresses(void) {
    int local = 0;
    void *heap = malloc(1);
    errno = EDOM;
    CHECK_EQUAL(cslice_library_keep(FUNCTION(test_keep)), 0);
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(cslice_library_keep(FUNCTION(cslice_library_keep)), 0);
    CHECK_EQUAL(cslice_library_keep(0), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_library_keep(ADDRESS(&local)), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_library_keep(ADDRESS(heap)), CSLICE_EINVAL);
    CHECK_EQUAL(cslice_library_keep(UINT64_MAX), CSLICE_EINVAL);
    free(heap);
}

static void test_addresses(void) {
    char text[] = "text";
    CHECK_EQUAL(cslice_address_of(text), ADDRESS(text));
    CHECK_EQUAL(cslice_address_of(NULL), 0);
    CHECK(cslice_string_at(ADDRESS(text)) == text);
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    test_copies();
    test_overlapping_copy();
    test_keep(arguments[1]);
    test_keep_other_addresses();
    test_addresses();
    return 0;
}
