/* Finds the functions of Node, V8 and libuv in the running process, so that the library links against none of them. */
#include "platform.h"

bool cslice__find_functions(const cslice__wanted *functions, size_t count) {
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        void *function = cslice__symbol(functions[i].name);
        *(void **)functions[i].where = function; /* POSIX's own way */
        if (function == NULL) all = false;
    }
    return all;
}
