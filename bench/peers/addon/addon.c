/*
 * What a team writes that leaves FFI for Node-API: an external ArrayBuffer over malloc'ed memory,
 * freed by a native finalizer. Each status is checked, nothing more is done than that takes.
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>

static uint32_t finalized;

static void finalize(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    free(data);
    finalized++;
}

static napi_value fail(napi_env env, const char *message) {
    napi_throw_error(env, NULL, message);
    return NULL;
}

static napi_value alloc(napi_env env, napi_callback_info info) {
    napi_value argument, buffer;
    size_t count = 1;
    int64_t size;
    if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok)
        return fail(env, "no arguments");
    if (napi_get_value_int64(env, argument, &size) != napi_ok || size < 0)
        return fail(env, "size is no size");
    void *data = malloc((size_t)size);
    if (data == NULL) return fail(env, "out of memory");
    if (napi_create_external_arraybuffer(env, data, (size_t)size, finalize, NULL, &buffer) !=
        napi_ok) {
        free(data);
        return fail(env, "no external array buffers here");
    }
    return buffer;
}

static napi_value count_finalized(napi_env env, napi_callback_info info) {
    napi_value count;
    (void)info;
    return napi_create_uint32(env, finalized, &count) == napi_ok ? count : NULL;
}

static napi_value detach(napi_env env, napi_callback_info info) {
    napi_value buffer;
    size_t count = 1;
    if (napi_get_cb_info(env, info, &count, &buffer, NULL, NULL) != napi_ok)
        return fail(env, "no arguments");
    if (napi_detach_arraybuffer(env, buffer) != napi_ok) return fail(env, "not detachable");
    return NULL;
}

NAPI_MODULE_INIT() {
    napi_property_descriptor functions[] = {
        {"alloc", NULL, alloc, NULL, NULL, NULL, napi_default, NULL},
        {"detach", NULL, detach, NULL, NULL, NULL, napi_default, NULL},
        {"finalized", NULL, count_finalized, NULL, NULL, NULL, napi_default, NULL},
    };
    return napi_define_properties(env, exports, 3, functions) == napi_ok ? exports : NULL;
}
