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
 * On the main thread every other call goes through koffi; in worker threads bindings.c takes koffi's place. A function
 * that koffi called must not call Node-API (V8 aborts where that allocates), and nothing here is called by one, but for
 * the wake, which allocates nothing.
 */
#include "internal.h"
#include "node_api.h"

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

static host_door *arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
    void *data = NULL;
    if (cslice__napi.napi_get_cb_info(env, info, &count, values, NULL, &data) != 0) return NULL;
    return data;
}

static napi_value detach(napi_env env, napi_callback_info info) {
    napi_value buffer;
    if (arguments(env, info, 1, &buffer) != NULL) cslice__napi.napi_detach_arraybuffer(env, buffer);
    return NULL;
}

static napi_value view(napi_env env, napi_callback_info info) {
    napi_value values[2], buffer;
    int64_t address, length;
    if (arguments(env, info, 2, values) == NULL) return NULL;
    if (cslice__napi.napi_get_value_int64(env, values[0], &address) != 0 || cslice__napi.napi_get_value_int64(env, values[1], &length) != 0) {
        return NULL;
    }
    void *data = (void *)(uintptr_t)address;
    if (cslice__napi.napi_create_external_arraybuffer(env, data, (size_t)length, NULL, NULL, &buffer) != 0) return NULL;
    return buffer;
}

static bool make_room(host_door *door) {
    if (door->tracked_count < door->tracked_capacity) return true;
    size_t capacity = door->tracked_capacity == 0 ? 64 : 2 * door->tracked_capacity;
    struct tracked *grown = cslice__mem_resize(door->tracked, door->tracked_count * sizeof *grown, capacity * sizeof *grown, 16);
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
    if (door == NULL || cslice__napi.napi_get_value_uint32(env, values[1], &slot) != 0 || !make_room(door)) return NULL;
    napi_ref token;
    if (cslice__napi.napi_create_reference(env, values[0], 0, &token) != 0) return NULL;
    door->tracked[door->tracked_count++] = (struct tracked){token, slot};
    return values[1];
}

static bool is_dead(napi_env env, napi_ref token) {
    napi_value value = NULL;
    return cslice__napi.napi_get_reference_value(env, token, &value) == 0 && value == NULL;
}

/* Moves the dead ones, `room` at most, out of the tracked list and into `slots`. */
static uint32_t take_dead(napi_env env, host_door *door, uint32_t *slots, size_t room) {
    uint32_t taken = 0;
    size_t kept = 0;
    for (size_t i = 0; i < door->tracked_count; i++) {
        struct tracked entry = door->tracked[i];
        if (taken < room && is_dead(env, entry.token)) {
            cslice__napi.napi_delete_reference(env, entry.token);
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
    if (door == NULL || cslice__napi.napi_get_typedarray_info(env, array, NULL, &room, &slots, NULL, NULL) != 0) return NULL;
    uint32_t taken = take_dead(env, door, slots, room);
    cslice_slots_collect(slots, taken);
    cslice__napi.napi_create_int64(env, taken, &count);
    return count;
}

static void wake(void *target) {
    cslice__napi.napi_call_threadsafe_function(target, NULL, NAPI_TSFN_NONBLOCKING);
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
        if (cslice__napi.napi_create_string_utf8(env, "cslice", NAPI_AUTO_LENGTH, &name) != 0 ||
            cslice__napi.napi_create_threadsafe_function(env, callback, NULL, name, 0, 1, mailbox, stop_waking, NULL, NULL,
                                            &function) != 0) {
            cslice__mailbox_unref(mailbox);
            return NULL;
        }
        cslice__napi.napi_unref_threadsafe_function(env, function); /* waiting for destructors keeps no process alive */
        cslice__mailbox_ref(mailbox); /* one for the door, one for the function */
        cslice__mailbox_set_wake(mailbox, wake, function);
        door->mailbox = mailbox;
    }
    cslice__napi.napi_create_int64(env, (int64_t)(uintptr_t)door->mailbox, &address);
    return address;
}

/* Runs however the thread ends. No Node-API in here: the references go with the environment. */
static void close_door(void *data) {
    host_door *door = data;
    if (door->mailbox != NULL) cslice__mailbox_set_wake(door->mailbox, NULL, NULL);
    cslice__handles_close(); /* first: objects may need blocks */
    cslice__owner_close();
    if (door->mailbox != NULL) {
        cslice__counts_lost(cslice__mailbox_close(door->mailbox));
        cslice__mailbox_unref(door->mailbox);
    }
    cslice__mem_free(door->tracked);
    cslice__mem_free(door);
}

static void export_functions(napi_env env, napi_value exports, host_door *door) {
    cslice__node_api_export(env, exports, "detach", detach, door);
    cslice__node_api_export(env, exports, "view", view, door);
    cslice__node_api_export(env, exports, "track", track, door);
    cslice__node_api_export(env, exports, "sweep", sweep, door);
    cslice__node_api_export(env, exports, "listen", listen, door);
    cslice__bindings_export(env, exports);
}

/* The name is Node-API's. On failure exports are missing, which the JavaScript side checks. */
CSLICE_API napi_value napi_register_module_v1(napi_env env, napi_value exports);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    if (!cslice__node_api_find()) return exports;
    host_door *opened = cslice__mem_alloc(sizeof *opened, 16, true);
    if (opened == NULL) return exports;
    if (cslice__owner_open() != 0) {
        cslice__mem_free(opened);
        return exports;
    }
    if (cslice__napi.napi_add_env_cleanup_hook(env, close_door, opened) != 0) {
        close_door(opened);
        return exports;
    }
    export_functions(env, exports, opened);
    return exports;
}
