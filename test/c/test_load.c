/* A C program loads the shared library, whose path is the argument, with every symbol resolved at
   once, and uses it. It gets no C++ runtime with it: only V8 needs one, and brings it. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* dl_iterate_phdr, RTLD_DEFAULT */
#endif
#include "check.h"
#include "cslice.h"

#include <dlfcn.h>
#include <string.h>

#if defined(__linux__)
#include <link.h>

/* Some C libraries leave the addresses in the table as the file has them. */
static const char *strings_of(const struct link_map *map, const ElfW(Dyn) * entry) {
    ElfW(Addr) address = entry->d_un.d_ptr;
    return (const char *)(address < map->l_addr ? map->l_addr + address : address);
}

static bool is_needed(const struct link_map *map, const char *name) {
    const char *strings = NULL;
    for (const ElfW(Dyn) *each = map->l_ld; each->d_tag != DT_NULL; each++) {
        if (each->d_tag == DT_STRTAB) strings = strings_of(map, each);
    }
    CHECK(strings != NULL);
    for (const ElfW(Dyn) *each = map->l_ld; each->d_tag != DT_NULL; each++) {
        if (each->d_tag == DT_NEEDED && strstr(strings + each->d_un.d_val, name) != NULL)
            return true;
    }
    return false;
}

static void check_needed(void *library) {
    struct link_map *map = NULL;
    CHECK_EQUAL(dlinfo(library, RTLD_DI_LINKMAP, &map), 0);
    CHECK(is_needed(map, "libc."));
    CHECK(!is_needed(map, "libstdc++"));
    CHECK(!is_needed(map, "libc++"));
}
#else
static void check_needed(void *library) {
    (void)library;
}
#endif

typedef int new_function(size_t size, cslice_block **block);
typedef void unref_function(cslice_block *block);
typedef void *register_function(void *env, void *exports);
typedef int32_t version_function(void);

static void *find(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    return found;
}

int main(int count, char **arguments) {
    CHECK_EQUAL(count, 2);
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) fprintf(stderr, "%s\n", dlerror());
    CHECK(library != NULL);
    check_needed(library);
    new_function *make;
    unref_function *unref;
    *(void **)&make = find(library, "cslice_block_new"); /* POSIX's own way */
    *(void **)&unref = find(library, "cslice_block_unref");
    cslice_block *block = NULL;
    CHECK_EQUAL(make(100, &block), 0);
    unref(block);
    /* Without Node-API in the process the module exports nothing, and asks for no more than that. */
    register_function *open_module;
    version_function *version;
    *(void **)&open_module = find(library, "napi_register_module_v1");
    *(void **)&version = find(library, "node_api_module_get_api_version_v1");
    CHECK(open_module(NULL, library) == library);
    CHECK_EQUAL(version(), 8);
    CHECK_EQUAL(dlclose(library), 0);
    unref(NULL); /* it stays loaded */
    return 0;
}
