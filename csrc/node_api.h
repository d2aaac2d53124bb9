/*
 * The part of Node-API that this library uses, as in version 8 of that stable ABI. Its functions
 * are looked up in the running process, so the library links against nothing of Node, and the same
 * file serves plain C programs.
 */
#ifndef CSLICE_NODE_API_H
#define CSLICE_NODE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "views.h" /* napi_value */

typedef struct napi_env__ *napi_env;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_callback_info__ *napi_callback_info;
typedef struct napi_threadsafe_function__ *napi_threadsafe_function;
typedef int napi_status; /* an enum whose 0 is success */
typedef napi_value napi_callback(napi_env env, napi_callback_info info);
typedef void napi_finalize(napi_env env, void *data, void *hint);

#define NAPI_AUTO_LENGTH SIZE_MAX
#define NAPI_TSFN_NONBLOCKING 0
#define NAPI_ARRAYBUFFER_EXPECTED 19

#define CSLICE__NODE_API_MAP(X)                                                                    \
    X(napi_create_function,                                                                        \
      (napi_env, const char *, size_t, napi_callback *, void *, napi_value *))                     \
    X(napi_set_named_property, (napi_env, napi_value, const char *, napi_value))                   \
    X(napi_get_cb_info,                                                                            \
      (napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **))               \
    X(napi_get_value_uint32, (napi_env, napi_value, uint32_t *))                                   \
    X(napi_get_value_int64, (napi_env, napi_value, int64_t *))                                     \
    X(napi_get_value_bigint_uint64, (napi_env, napi_value, uint64_t *, bool *))                    \
    X(napi_create_int64, (napi_env, int64_t, napi_value *))                                        \
    X(napi_create_bigint_int64, (napi_env, int64_t, napi_value *))                                 \
    X(napi_create_string_utf8, (napi_env, const char *, size_t, napi_value *))                     \
    X(napi_detach_arraybuffer, (napi_env, napi_value))                                             \
    X(napi_is_detached_arraybuffer, (napi_env, napi_value, bool *))                                \
    X(napi_get_typedarray_info,                                                                    \
      (napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *))                    \
    X(napi_create_external_arraybuffer,                                                            \
      (napi_env, void *, size_t, napi_finalize *, void *, napi_value *))                           \
    X(napi_get_value_bool, (napi_env, napi_value, bool *))                                         \
    X(napi_create_external, (napi_env, void *, napi_finalize *, void *, napi_value *))             \
    X(napi_create_reference, (napi_env, napi_value, uint32_t, napi_ref *))                         \
    X(napi_add_env_cleanup_hook, (napi_env, void (*)(void *), void *))                             \
    X(napi_create_threadsafe_function,                                                             \
      (napi_env, napi_value, napi_value, napi_value, size_t, size_t, void *, napi_finalize *,      \
       void *, void (*)(napi_env, napi_value, void *, void *), napi_threadsafe_function *))        \
    X(napi_get_uv_event_loop, (napi_env, void **))                                                 \
    X(napi_unref_threadsafe_function, (napi_env, napi_threadsafe_function))                        \
    X(napi_call_threadsafe_function, (napi_threadsafe_function, void *, int))

/* One table rather than globals of these names, which would take the place of the real functions in
 * the process. */
typedef struct cslice__node_api {
#define X(name, parameters) napi_status(*name) parameters;
    CSLICE__NODE_API_MAP(X)
#undef X
} cslice__node_api;

/* ---- node_api.c ---- */

extern cslice__node_api cslice__napi;

/* Fills the table. False: this process has no Node-API. */
bool cslice__node_api_find(void);
/* Whether the process is Bun. */
bool cslice__node_api_is_bun(void);
/* An integer from 0 to 2^64 - 1, from a number or a bigint. */
bool cslice__node_api_get_uint64(napi_env env, napi_value value, uint64_t *out);
/* Adds a function to a module. Failing, as it does in a thread that is ending, leaves the name out.
 */
void cslice__node_api_export(napi_env env, napi_value exports, const char *name,
                             napi_callback *callback, void *data);

/* ---- loop.c ---- */

/* Sockets that were there before this library, so that none was made to read into its memory: a
   loader's, for example. */
typedef struct cslice__early {
    uint64_t ids[8];
    size_t count;
} cslice__early;

/* Adds those of a loop that are paused or unreferenced now. */
void cslice__loop_note(void *loop, cslice__early *early);

/* How many sockets and pipes of a libuv loop are connected, without the standard output and error and
   the one whose file is `channel`. Negative if one of them is paused or unreferenced, so that Node's
   list of active handles lacks it, unless it is an early one; -1 also where the process has no
   libuv. */
int64_t cslice__loop_sockets(void *loop, uint32_t channel, const cslice__early *early);

/* ---- bindings.c ---- */

/* The functions of cslice.h that JavaScript calls, for threads that must not use koffi. */
void cslice__bindings_export(napi_env env, napi_value exports);

#endif
