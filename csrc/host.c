/*
 * The second door: the same library opened as a Node-API module, for the few things that koffi cannot do safely.
 *
 *   detach(buffer)          kills every view at once; Node 20 has no other way
 *   view(address, length)   an ArrayBuffer made with its status checked: koffi's aborts the process when the worker
 *                           thread is being terminated. undefined: the runtime forbids it, or the thread is ending
 *   track(token, slot)      a weak reference that dies in a loop that never yields, where a FinalizationRegistry
 *                           and a WeakRef do not
 *   sweep(slots)            drops the slots of dead tracked tokens, as many as the Uint32Array takes, and writes them
 *                           there. Returns how many
 *   listen(callback)        a mailbox for JavaScript destructors; callback runs on the event loop after a post
 *
 * Nothing else belongs here: every other call goes through koffi. A function that koffi called must not call Node-API
 * (V8 aborts where that allocates), and nothing here is called by one, but for the wake, which allocates nothing.
 *
 * The napi_ symbols are looked up in the running process, so the library links against nothing of Node and the same
 * file serves plain C programs. Node-API is a stable ABI: the declarations below are those of Node-API version 8.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* RTLD_DEFAULT */
#endif
#include "internal.h"

#include <dlfcn.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_ref__ *napi_ref;
typedef struct napi_callback_info__ *napi_callback_info;
typedef struct napi_threadsafe_function__ *napi_threadsafe_function;
typedef int napi_status; /* an enum whose 0 is success */
typedef napi_value napi_callback(napi_env env, napi_callback_info info);
typedef void napi_finalize(napi_env env, void *data, void *hint);

#define AUTO_LENGTH SIZE_MAX
#define TSFN_NONBLOCKING 0

#define NODE_API_MAP(X)                                                                                              \
    X(napi_create_function, (napi_env, const char *, size_t, napi_callback *, void *, napi_value *))                 \
    X(napi_set_named_property, (napi_env, napi_value, const char *, napi_value))                                     \
    X(napi_get_cb_info, (napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **))               \
    X(napi_get_value_uint32, (napi_env, napi_value, uint32_t *))                                                     \
    X(napi_get_value_int64, (napi_env, napi_value, int64_t *))                                                       \
    X(napi_create_int64, (napi_env, int64_t, napi_value *))                                                          \
    X(napi_create_string_utf8, (napi_env, const char *, size_t, napi_value *))                                       \
    X(napi_detach_arraybuffer, (napi_env, napi_value))                                                               \
    X(napi_get_typedarray_info, (napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *))            \
    X(napi_create_external_arraybuffer, (napi_env, void *, size_t, napi_finalize *, void *, napi_value *))           \
    X(napi_create_reference, (napi_env, napi_value, uint32_t, napi_ref *))                                           \
    X(napi_delete_reference, (napi_env, napi_ref))                                                                   \
    X(napi_get_reference_value, (napi_env, napi_ref, napi_value *))                                                  \
    X(napi_add_env_cleanup_hook, (napi_env, void (*)(void *), void *))                                               \
    X(napi_create_threadsafe_function,                                                                               \
      (napi_env, napi_value, napi_value, napi_value, size_t, size_t, void *, napi_finalize *, void *,                \
       void (*)(napi_env, napi_value, void *, void *), napi_threadsafe_function *))                                  \
    X(napi_unref_threadsafe_function, (napi_env, napi_threadsafe_function))                                          \
    X(napi_call_threadsafe_function, (napi_threadsafe_function, void *, int))

#define X(name, parameters) static napi_status(*name) parameters;
NODE_API_MAP(X)
#undef X

/* One JavaScript environment that opened the library: a thread, or a second copy of the module in it. */
typedef struct host_door {
    struct tracked {
        napi_ref token;
        uint32_t slot;
    } *tracked;
    size_t tracked_count;
    size_t tracked_capacity;
    cslice__mailbox *mailbox;
} host_door;

static bool find_node_api(void) {
    bool found = true;
#define X(name, parameters)                                 \
    *(void **)&name = dlsym(RTLD_DEFAULT, #name); /* POSIX */ \
    found = found && name != NULL;
    NODE_API_MAP(X)
#undef X
    return found;
}

static host_door *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
    void *data = NULL;
    if (napi_get_cb_info(env, info, &count, values, NULL, &data) != 0) return NULL;
    return data;
}

static napi_value detach(napi_env env, napi_callback_info info) {
    napi_value buffer;
    if (arguments(env, info, 1, &buffer) != NULL) napi_detach_arraybuffer(env, buffer);
    return NULL;
}

static napi_value view(napi_env env, napi_callback_info info) {
    napi_value values[2], buffer;
    int64_t address, length;
    if (arguments(env, info, 2, values) == NULL) return NULL;
    if (napi_get_value_int64(env, values[0], &address) != 0 || napi_get_value_int64(env, values[1], &length) != 0) {
        return NULL;
    }
    void *data = (void *)(uintptr_t)address;
    if (napi_create_external_arraybuffer(env, data, (size_t)length, NULL, NULL, &buffer) != 0) return NULL;
    return buffer;
}

static bool make_room(host_door *door) {
    if (door->tracked_count < door->tracked_capacity) return true;
    size_t capacity = door->tracked_capacity == 0 ? 64 : 2 * door->tracked_capacity;
    struct tracked *grown = cslice__mem_resize(door->tracked, capacity * sizeof *grown);
    if (grown == NULL) return false;
    door->tracked = grown;
    door->tracked_capacity = capacity;
    return true;
}

/* Failing is harmless: the registry still finds this token. Returns the slot where it is tracked, else undefined. */
static napi_value track(napi_env env, napi_callback_info info) {
    napi_value values[2];
    uint32_t slot;
    host_door *door = arguments(env, info, 2, values);
    if (door == NULL || napi_get_value_uint32(env, values[1], &slot) != 0 || !make_room(door)) return NULL;
    napi_ref token;
    if (napi_create_reference(env, values[0], 0, &token) != 0) return NULL;
    door->tracked[door->tracked_count++] = (struct tracked){token, slot};
    return values[1];
}

static bool is_dead(napi_env env, napi_ref token) {
    napi_value value = NULL;
    return napi_get_reference_value(env, token, &value) == 0 && value == NULL;
}

/* Moves the dead ones, `room` at most, out of the tracked list and into `slots`. */
static uint32_t take_dead(napi_env env, host_door *door, uint32_t *slots, size_t room) {
    uint32_t taken = 0;
    size_t kept = 0;
    for (size_t i = 0; i < door->tracked_count; i++) {
        struct tracked entry = door->tracked[i];
        if (taken < room && is_dead(env, entry.token)) {
            napi_delete_reference(env, entry.token);
            slots[taken++] = entry.slot;
        } else {
            door->tracked[kept++] = entry;
        }
    }
    door->tracked_count = kept;
    return taken;
}

static napi_value sweep(napi_env env, napi_callback_info info) {
    napi_value array, count = NULL;
    size_t room = 0;
    void *slots = NULL;
    host_door *door = arguments(env, info, 1, &array);
    if (door == NULL || napi_get_typedarray_info(env, array, NULL, &room, &slots, NULL, NULL) != 0) return NULL;
    uint32_t taken = take_dead(env, door, slots, room);
    cslice_slots_collect(slots, taken);
    napi_create_int64(env, taken, &count);
    return count;
}

static void wake(void *target) {
    napi_call_threadsafe_function(target, NULL, TSFN_NONBLOCKING);
}

/* The environment is about to destroy the function: from here a post waits for the next take. */
static void stop_waking(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    cslice__mailbox_set_wake(data, NULL, NULL);
    cslice__mailbox_unref(data);
}

static napi_value listen(napi_env env, napi_callback_info info) {
    napi_value callback, name, address = NULL;
    host_door *door = arguments(env, info, 1, &callback);
    if (door == NULL) return NULL;
    if (door->mailbox == NULL) {
        cslice__mailbox *mailbox = cslice__mailbox_new();
        if (mailbox == NULL) return NULL;
        napi_threadsafe_function function;
        if (napi_create_string_utf8(env, "cslice", AUTO_LENGTH, &name) != 0 ||
            napi_create_threadsafe_function(env, callback, NULL, name, 0, 1, mailbox, stop_waking, NULL, NULL,
                                            &function) != 0) {
            cslice__mailbox_unref(mailbox);
            return NULL;
        }
        napi_unref_threadsafe_function(env, function); /* waiting for destructors keeps no process alive */
        cslice__mailbox_ref(mailbox); /* one for the door, one for the function */
        cslice__mailbox_set_wake(mailbox, wake, function);
        door->mailbox = mailbox;
    }
    napi_create_int64(env, (int64_t)(uintptr_t)door->mailbox, &address);
    return address;
}

/* Runs however the thread ends. No Node-API in here: the references go with the environment. */
static void close_door(void *data) {
    host_door *door = data;
    if (door->mailbox != NULL) cslice__mailbox_set_wake(door->mailbox, NULL, NULL);
    cslice__owner_close();
    if (door->mailbox != NULL) {
        cslice__block_count_lost(cslice__mailbox_close(door->mailbox));
        cslice__mailbox_unref(door->mailbox);
    }
    cslice__mem_free(door->tracked);
    cslice__mem_free(door);
}

static bool export_functions(napi_env env, napi_value exports, host_door *door) {
    static const struct {
        const char *name;
        napi_callback *callback;
    } functions[] = {{"detach", detach}, {"view", view}, {"track", track}, {"sweep", sweep}, {"listen", listen}};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        napi_value function;
        if (napi_create_function(env, functions[i].name, AUTO_LENGTH, functions[i].callback, door, &function) != 0 ||
            napi_set_named_property(env, exports, functions[i].name, function) != 0) {
            return false;
        }
    }
    return true;
}

/* The name is Node-API's. On failure the exports stay empty, which the JavaScript side checks. */
CSLICE_API napi_value napi_register_module_v1(napi_env env, napi_value exports);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    if (!find_node_api()) return exports;
    host_door *opened = cslice__mem_alloc(sizeof *opened, 16, true);
    if (opened == NULL) return exports;
    if (cslice__owner_open() != 0) {
        cslice__mem_free(opened);
        return exports;
    }
    if (napi_add_env_cleanup_hook(env, close_door, opened) != 0) {
        close_door(opened);
        return exports;
    }
    export_functions(env, exports, opened);
    return exports;
}
