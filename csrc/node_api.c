/* Finds Node-API in the running process. */
#include "node_api.h"
#include "platform.h"

cslice__node_api cslice__napi;

static bool found;

static void find(void) {
    static const cslice__wanted functions[] = {
#define X(name, parameters) {#name, &cslice__napi.name},
        CSLICE__NODE_API_MAP(X)
#undef X
    };
    found = cslice__find_functions(functions, sizeof functions / sizeof *functions);
}

bool cslice__node_api_find(void) {
    static cslice__once once = CSLICE__ONCE_INIT;
    cslice__once_run(&once, find);
    return found;
}

bool cslice__node_api_is_bun(void) {
    /* It imitates the part of V8's interface that addons use most. */
    return cslice__symbol("_ZN2v87Isolate10GetCurrentEv") != NULL &&
        cslice__symbol("_ZN2v82V810GetVersionEv") == NULL;
}

bool cslice__node_api_get_uint64(napi_env env, napi_value value, uint64_t *out) {
    int64_t number;
    bool lossless;
    if (cslice__napi.napi_get_value_int64(env, value, &number) == 0) {
        *out = (uint64_t)number;
        return true;
    }
    return cslice__napi.napi_get_value_bigint_uint64(env, value, out, &lossless) == 0;
}

void cslice__node_api_export(napi_env env, napi_value exports, const char *name,
                             napi_callback *callback, void *data) {
    napi_value function;
    if (cslice__napi.napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, data, &function) ==
        0) {
        cslice__napi.napi_set_named_property(env, exports, name, function);
    }
}
