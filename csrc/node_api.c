/* Finds Node-API in the running process. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include "node_api.h"

#include <dlfcn.h>
#include <pthread.h>

cslice__node_api cslice__napi;

static bool found = true;

static void find(void) {
#define X(name, parameters)                                                          \
    *(void **)&cslice__napi.name = dlsym(RTLD_DEFAULT, #name); /* POSIX's own way */ \
    found = found && cslice__napi.name != NULL;
    CSLICE__NODE_API_MAP(X)
#undef X
}

bool cslice__node_api_find(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return found;
}

void cslice__node_api_export(napi_env env, napi_value exports, const char *name, napi_callback *callback, void *data) {
    napi_value function;
    if (cslice__napi.napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function) == 0) {
        cslice__napi.napi_set_named_property(env, exports, name, function);
    }
}
