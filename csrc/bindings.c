/*
 * The C functions that JavaScript calls, bound by Node-API for worker threads. koffi's start and
 * its func() abort the whole process when the worker is terminated in the middle of them, and a
 * terminated thread cannot be told to wait. Here every status is checked, and a call that cannot be
 * answered returns undefined.
 *
 * Names, arguments and results are those of cslice.h.
 */
#include "internal.h"
#include "node_api.h"

#define MOST_ARGUMENTS 6

static bool get_uint32_t(napi_env env, napi_value value, uint32_t *out) {
    return cslice__napi.napi_get_value_uint32(env, value, out) == 0;
}

static bool get_uint64_t(napi_env env, napi_value value, uint64_t *out) {
    return cslice__node_api_get_uint64(env, value, out);
}

typedef void *pointer;

static bool get_pointer(napi_env env, napi_value value, pointer *out) {
    return cslice__napi.napi_get_typedarray_info(env, value, NULL, NULL, out, NULL, NULL) == 0;
}

/* As koffi does it: a number where that is exact. */
static napi_value put(napi_env env, int64_t result) {
    const int64_t largest = (int64_t)1 << 53;
    napi_value value = NULL;
    if (result >= -largest && result <= largest) {
        cslice__napi.napi_create_int64(env, result, &value);
    } else {
        cslice__napi.napi_create_bigint_int64(env, result, &value);
    }
    return value;
}

static napi_value put_text(napi_env env, const char *text) {
    napi_value value = NULL;
    cslice__napi.napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    return value;
}

static bool get_arguments(napi_env env, napi_callback_info info, napi_value *values,
                          size_t expected) {
    size_t count = MOST_ARGUMENTS;
    return cslice__napi.napi_get_cb_info(env, info, &count, values, NULL, NULL) == 0 &&
        count >= expected;
}

/* One wrapper a function: get the arguments by their C types, call, and put the result. */
#define BEGIN(name, count)                                                                         \
    static napi_value call_##name(napi_env env, napi_callback_info info) {                         \
        napi_value values[MOST_ARGUMENTS];                                                         \
        if (!get_arguments(env, info, values, count)) return NULL;
#define GET(type, i)                                                                               \
    type a##i;                                                                                     \
    if (!get_##type(env, values[i], &a##i)) return NULL;
#define END }

/* clang-format off */
#define CALL1(put, name, T0) BEGIN(name, 1) GET(T0, 0) put(name(a0)) END
#define CALL2(put, name, T0, T1) BEGIN(name, 2) GET(T0, 0) GET(T1, 1) put(name(a0, a1)) END
#define CALL3(put, name, T0, T1, T2) BEGIN(name, 3) GET(T0, 0) GET(T1, 1) GET(T2, 2) put(name(a0, a1, a2)) END
#define CALL4(put, name, T0, T1, T2, T3) \
    BEGIN(name, 4) GET(T0, 0) GET(T1, 1) GET(T2, 2) GET(T3, 3) put(name(a0, a1, a2, a3)) END
#define CALL5(put, name, T0, T1, T2, T3, T4) \
    BEGIN(name, 5) GET(T0, 0) GET(T1, 1) GET(T2, 2) GET(T3, 3) GET(T4, 4) put(name(a0, a1, a2, a3, a4)) END
#define CALL6(put, name, T0, T1, T2, T3, T4, T5)                                   \
    BEGIN(name, 6) GET(T0, 0) GET(T1, 1) GET(T2, 2) GET(T3, 3) GET(T4, 4) GET(T5, 5) \
    put(name(a0, a1, a2, a3, a4, a5)) END
/* clang-format on */

#define RESULT(call) return put(env, call);
#define TEXT(call) return put_text(env, call);
#define NOTHING(call)                                                                              \
    call;                                                                                          \
    return NULL;

#define BINDINGS(CALL1, CALL2, CALL3, CALL4, CALL5, CALL6)                                         \
    CALL5(NOTHING, cslice_give_back, uint64_t, uint64_t, uint64_t, uint32_t, uint64_t)             \
    CALL1(NOTHING, cslice_unref, uint64_t)                                                         \
    CALL2(RESULT, cslice_blocks_renew, pointer, uint32_t)                                          \
    CALL1(RESULT, cslice_due_next, uint64_t)                                                       \
    CALL2(RESULT, cslice_record_new, uint64_t, uint64_t)                                           \
    CALL1(RESULT, cslice_references, uint64_t)                                                     \
    CALL1(RESULT, cslice_record_next, uint64_t)                                                    \
    CALL1(RESULT, cslice_record_of, uint64_t)                                                      \
    CALL1(RESULT, cslice_record_references, uint64_t)                                              \
    CALL1(NOTHING, cslice_reuse_set, uint64_t)                                                     \
    CALL1(RESULT, cslice_handles_table, uint32_t)                                                  \
    CALL5(RESULT, cslice_keeper_new, uint64_t, uint64_t, uint64_t, uint32_t, uint64_t)             \
    CALL1(NOTHING, cslice_keeper_free, uint64_t)                                                   \
    CALL1(RESULT, cslice_library_keep, uint64_t)                                                   \
    CALL1(NOTHING, cslice_limit_set, uint64_t)                                                     \
    CALL3(NOTHING, cslice_copy, uint64_t, uint64_t, uint64_t)                                      \
    CALL3(NOTHING, cslice_copy_in, uint64_t, pointer, uint64_t)                                    \
    CALL3(NOTHING, cslice_copy_out, pointer, uint64_t, uint64_t)                                   \
    CALL1(TEXT, cslice_string_at, uint64_t)                                                        \
    CALL2(RESULT, cslice_string_size, uint64_t, uint32_t)                                          \
    CALL1(RESULT, cslice_address_of, pointer)                                                      \
    CALL1(NOTHING, cslice_statistics_get, pointer)                                                 \
    CALL1(RESULT, cslice_guard_set, uint32_t)                                                      \
    CALL4(NOTHING, cslice_guard_note, uint64_t, uint32_t, pointer, uint64_t)                       \
    CALL1(NOTHING, cslice_test_fail_allocation, uint64_t)

BINDINGS(CALL1, CALL2, CALL3, CALL4, CALL5, CALL6)

/* Without arguments. */
/* clang-format off */
BEGIN(cslice_reuse_account, 0) RESULT(cslice_reuse_account()) END
BEGIN(cslice_count_failure, 0) NOTHING(cslice_count_failure()) END
BEGIN(cslice_keeper_function, 0) RESULT(cslice_keeper_function()) END
BEGIN(cslice_errno_address, 0) RESULT(cslice_errno_address()) END
BEGIN(cslice_abi_version, 0) RESULT(cslice_abi_version()) END
BEGIN(cslice_guard_rate_address, 0) RESULT(cslice_guard_rate_address()) END

void cslice__bindings_export(napi_env env, napi_value exports) {
#define EXPORT(put, name, ...) cslice__node_api_export(env, exports, #name, call_##name, NULL);
    BINDINGS(EXPORT, EXPORT, EXPORT, EXPORT, EXPORT, EXPORT)
    EXPORT(RESULT, cslice_reuse_account, )
    EXPORT(NOTHING, cslice_count_failure, )
    EXPORT(RESULT, cslice_keeper_function, )
    EXPORT(RESULT, cslice_errno_address, )
    EXPORT(RESULT, cslice_abi_version, )
    EXPORT(RESULT, cslice_guard_rate_address, )
#undef EXPORT
}
/* clang-format on */
