/*
 * The library opened as a Node-API module: what needs JavaScript's own values, above all the
 * ArrayBuffers that own blocks. Each such buffer holds one reference to its block, and gives it
 * back when it is detached or collected, or when its thread ends. If its bytes have moved to
 * another buffer, the reference moved with them.
 *
 *   - open(cells, node, direct): where results are written, whether this is Node, and whether V8's
 *     own buffers are to be used. Returns 1 where they are, else 0.
 *   - alloc(size): a buffer over a new zeroed block, aligned to 16.
 *   - allocWith(size, alignment, zero): the same with another alignment, or not zeroed.
 *   - allocGuarded(size, alignment): the same, zeroed, for guard mode. cells[3]: 1 where the block
 *     is guarded, else 0.
 *   - adopt(address, size, function, signature, context, anywhere): a buffer over memory with a
 *     native destructor, which runs in this thread unless `anywhere` is set.
 *   - adoptCallback(address, size, number): the same with a JavaScript destructor, known here by a
 *     number from 1.
 *   - take(block, longest): a buffer over a block that C made. The caller's reference becomes the
 *     buffer's. cells[3]: its size.
 *   - refer(block, address, size): a buffer over a range of a block, with a reference of its own.
 *   - borrow(address, size): a buffer over memory that another owner frees; cells[0] becomes 0.
 *   - share(block, address, size): a SharedArrayBuffer over a range of a block, with a reference
 *     of its own.
 *   - attach(buffer, isShared, address, size): a buffer over the memory of any other ArrayBuffer
 *     or SharedArrayBuffer, which it keeps. CSLICE_EINVAL: memory of WebAssembly, which may move.
 *   - resize(buffer, block, size): ends the buffer, and returns one over the resized block.
 *     cells[3]: 0, or the negative status of a failure, and the block is as it was.
 *   - clone(block, size, mayBeShared): a buffer over a new block of that size, with a copy of the
 *     bytes.
 *   - disown(buffer, block): ends the buffer; the memory is C's. cells[0]: the number of a
 *     JavaScript destructor that will not run, or 0. cells[1]: where the bytes are from here on.
 *   - end(buffer, key): detaches the buffer, counted as released by scope.
 *   - lock(buffer, key): from here only `end` with the key detaches it.
 *   - sockets(channel): how many sockets the thread's event loop has: see node_api.h.
 *   - requests(): a buffer over counts of the thread's event loop, as 32-bit integers. The first
 *     is the number of active handles, the last that of operations under way. Undefined if they
 *     are unknown.
 *   - collect(): a full garbage collection.
 *   - listen(callback): opens the mailbox; the callback runs on the event loop when something is
 *     due in it.
 *
 * A function that makes an ArrayBuffer writes the address of its block to cells[0] and the address
 * of the bytes to cells[1]. It returns undefined where it fails, with the negative status in
 * cells[0]. Plain results in memory that JavaScript reads are the cheapest way back.
 *
 * On the main thread every other call goes through koffi; in worker threads bindings.c takes
 * koffi's place. A function that koffi called must not call Node-API (V8 aborts where that
 * allocates), and nothing here is called by one, but for the wake, which allocates nothing.
 */
#include "internal.h"
#include "node_api.h"

#include <stddef.h>

/* The head of libuv's public uv_loop_t. The last field counts what is under way in this thread:
   file system, sockets, zlib, crypto, asynchronous Node-API work. */
typedef struct loop_head {
    void *data;
    unsigned int active_handles;
    void *handle_queue[2];
    union {
        void *unused;
        unsigned int count;
    } active_reqs;
} loop_head;

/* One JavaScript environment that opened the library: a thread, or a second copy of the module in
 * it. */
typedef struct module_instance {
    void *isolate;   /* V8's; NULL: buffers are made by Node-API */
    loop_head *loop; /* NULL: unknown */
    cslice__early early;
    double *cells; /* JavaScript's memory, see the indices below */
    cslice__mailbox *mailbox;
} module_instance;

enum { RESULT = 0, ADDRESS = 1, DUE = 2, STATUS = 3, CELLS = 4 };

/* ---- arguments ---- */

#define MOST_ARGUMENTS 6

typedef struct invocation {
    napi_env env;
    module_instance *instance;
    napi_value values[MOST_ARGUMENTS];
} invocation;

static bool begin_first(invocation *call, napi_env env, napi_callback_info info, size_t expected) {
    size_t count = expected;
    void *data = NULL;
    call->env = env;
    if (cslice__napi.napi_get_cb_info(env, info, &count, call->values, NULL, &data) != 0)
        return false;
    call->instance = data;
    return count >= expected;
}

/* Not before the instance has been opened. */
static bool begin(invocation *call, napi_env env, napi_callback_info info, size_t expected) {
    return begin_first(call, env, info, expected) && call->instance->cells != NULL;
}

static bool get_uint32(const invocation *call, size_t i, uint32_t *out) {
    return cslice__napi.napi_get_value_uint32(call->env, call->values[i], out) == 0;
}

static bool get_uint64(const invocation *call, size_t i, uint64_t *out) {
    return cslice__node_api_get_uint64(call->env, call->values[i], out);
}

static bool get_bool(const invocation *call, size_t i, bool *out) {
    return cslice__napi.napi_get_value_bool(call->env, call->values[i], out) == 0;
}

static bool get_block(const invocation *call, size_t i, cslice_block **out) {
    uint64_t address;
    if (!get_uint64(call, i, &address) || address == 0) return false;
    *out = (cslice_block *)(uintptr_t)address;
    return true;
}

static napi_value fail(const invocation *call, int64_t status) {
    call->instance->cells[RESULT] = (double)status;
    return NULL;
}

/* ---- buffers that own a reference ---- */

/* V8 calls this from any thread and in the midst of a collection. */
static void give_back(void *data, size_t length, void *block) {
    (void)data;
    (void)length;
    if (block != NULL) cslice__block_unref(block, cslice__thread_end_reason());
}

static void give_back_by_node_api(napi_env env, void *data, void *block) {
    (void)env;
    give_back(data, 0, block);
}

/* Some runtimes forbid ArrayBuffers over C memory. There another object owns the reference, and
 * shows no bytes. */
static napi_value make_by_node_api(napi_env env, void *data, size_t size, cslice_block *block) {
    napi_value owner = NULL;
    if (cslice__napi.napi_create_external_arraybuffer(env, data, size, give_back_by_node_api, block,
                                                      &owner) == 0) {
        return owner;
    }
    if (cslice__napi.napi_create_external(env, data, give_back_by_node_api, block, &owner) == 0)
        return owner;
    return NULL;
}

static void give_back_store(cslice__store *store) {
    give_back(NULL, 0, (char *)store - offsetof(cslice_block, store));
}

/* Where the bytes of a buffer start: V8 runs no deleter for memory at NULL, which an empty block of
 * C's may have. */
static void *start_of(void *data) {
    static char nowhere;
    return data != NULL ? data : &nowhere;
}

static napi_value made(const invocation *call, napi_value buffer, void *data, cslice_block *block) {
    if (buffer == NULL) {
        if (block != NULL) cslice__block_unref(block, CSLICE__BY_C);
        return fail(call, CSLICE_ENOVIEW);
    }
    call->instance->cells[RESULT] = (double)(uintptr_t)block;
    call->instance->cells[ADDRESS] = (double)(uintptr_t)data;
    return buffer;
}

/* A buffer that takes over the caller's reference to the block; NULL for memory that is not counted.
 */
static napi_value make(const invocation *call, void *data, size_t size, cslice_block *block) {
    void *isolate = call->instance->isolate, *start = start_of(data);
    napi_value buffer = isolate != NULL ? cslice__v8_buffer(isolate, start, size, give_back, block)
                                        : make_by_node_api(call->env, start, size, block);
    return made(call, buffer, data, block);
}

/* The same over all of a block that was made in this call: nothing else shows its store. */
static napi_value make_first(const invocation *call, cslice_block *block) {
    void *isolate = call->instance->isolate, *start = start_of(block->data);
    napi_value buffer = isolate != NULL
        ? cslice__v8_show(isolate, &block->store, start, block->size)
        : make_by_node_api(call->env, start, block->size, block);
    return made(call, buffer, block->data, block);
}

/* Whether a detach would leave the memory to somebody who holds it. */
static bool is_held(const invocation *call, napi_value buffer) {
    return call->instance->isolate != NULL && cslice__v8_is_held(buffer);
}

/* Node-API's way. What stands for a buffer where there are none has nothing to detach. Bun says that
 * it has detached a buffer that an operation of its own keeps, and has not. */
static bool detach_by_node_api(napi_env env, napi_value buffer) {
    napi_status status = cslice__napi.napi_detach_arraybuffer(env, buffer);
    if (status == NAPI_ARRAYBUFFER_EXPECTED) return true;
    bool is_detached = false;
    return status == 0 &&
        cslice__napi.napi_is_detached_arraybuffer(env, buffer, &is_detached) == 0 && is_detached;
}

/* False: the buffer has its bytes, since somebody else has locked it, and then a JavaScript exception
 * is pending, or since the runtime keeps them. */
static bool detach(const invocation *call, napi_value buffer, napi_value key) {
    if (call->instance->isolate != NULL) return cslice__v8_detach(buffer, key);
    return detach_by_node_api(call->env, buffer);
}

static napi_value alloc(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t size;
    if (!begin(&call, env, info, 1) || !get_uint64(&call, 0, &size)) return NULL;
    cslice_block *block;
    int status = cslice__block_alloc((size_t)size, 16, true, &block);
    return status != 0 ? fail(&call, status) : make_first(&call, block);
}

static napi_value alloc_with(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t size, alignment;
    bool zero;
    if (!begin(&call, env, info, 3) || !get_uint64(&call, 0, &size) ||
        !get_uint64(&call, 1, &alignment) || !get_bool(&call, 2, &zero)) {
        return NULL;
    }
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) return fail(&call, CSLICE_EINVAL);
    cslice_block *block;
    int status = cslice__block_alloc((size_t)size, (size_t)alignment, zero, &block);
    return status != 0 ? fail(&call, status) : make_first(&call, block);
}

static napi_value alloc_guarded(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t size, alignment;
    if (!begin(&call, env, info, 2) || !get_uint64(&call, 0, &size) ||
        !get_uint64(&call, 1, &alignment)) {
        return NULL;
    }
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) return fail(&call, CSLICE_EINVAL);
    cslice_block *block;
    int status = cslice__block_alloc_guarded((size_t)size, (size_t)alignment, &block);
    if (status != 0) return fail(&call, status);
    call.instance->cells[STATUS] = block->kind == CSLICE__GUARDED;
    return make_first(&call, block);
}

static napi_value adopt(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t address, size, function, context;
    uint32_t signature;
    bool anywhere;
    if (!begin(&call, env, info, 6) || !get_uint64(&call, 0, &address) ||
        !get_uint64(&call, 1, &size) || !get_uint64(&call, 2, &function) ||
        !get_uint32(&call, 3, &signature) || !get_uint64(&call, 4, &context) ||
        !get_bool(&call, 5, &anywhere)) {
        return NULL;
    }
    cslice__kind kind;
    if (address == 0 || function == 0 || cslice__block_kind_of(signature, &kind) != 0)
        return fail(&call, CSLICE_EINVAL);
    cslice__mailbox *mailbox = anywhere ? NULL : call.instance->mailbox;
    if (!anywhere && mailbox == NULL) return fail(&call, CSLICE_ENOMEM);
    cslice_block *block;
    int status =
        cslice__block_adopt(kind, (void *)(uintptr_t)address, (size_t)size, (uintptr_t)function,
                            (void *)(uintptr_t)context, mailbox, &block);
    return status != 0 ? fail(&call, status) : make_first(&call, block);
}

static napi_value adopt_callback(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t address, size, number;
    if (!begin(&call, env, info, 3) || !get_uint64(&call, 0, &address) ||
        !get_uint64(&call, 1, &size) || !get_uint64(&call, 2, &number)) {
        return NULL;
    }
    if (address == 0 || number == 0) return fail(&call, CSLICE_EINVAL);
    if (call.instance->mailbox == NULL) return fail(&call, CSLICE_ENOMEM);
    cslice_block *block;
    int status = cslice__block_adopt(CSLICE__CALLBACK, (void *)(uintptr_t)address, (size_t)size,
                                     (uintptr_t)number, NULL, call.instance->mailbox, &block);
    return status != 0 ? fail(&call, status) : make_first(&call, block);
}

static napi_value take(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t longest;
    cslice_block *block;
    if (!begin(&call, env, info, 2) || !get_block(&call, 0, &block) ||
        !get_uint64(&call, 1, &longest))
        return NULL;
    if (!cslice__block_is_ours(block) || block->size > longest) return fail(&call, CSLICE_EINVAL);
    call.instance->cells[STATUS] = (double)block->size;
    return make(&call, block->data, block->size, block); /* C may have handed it over before */
}

static bool get_range(const invocation *call, cslice_block **block, void **data, size_t *size) {
    uint64_t address, length;
    if (!get_block(call, 0, block) || !get_uint64(call, 1, &address) ||
        !get_uint64(call, 2, &length))
        return false;
    *data = (void *)(uintptr_t)address;
    *size = (size_t)length;
    return true;
}

static napi_value refer(napi_env env, napi_callback_info info) {
    invocation call;
    cslice_block *block;
    void *data;
    size_t size;
    if (!begin(&call, env, info, 3) || !get_range(&call, &block, &data, &size)) return NULL;
    return make(&call, data, size, cslice_block_ref(block));
}

/* The reference of memory that waits for an operation of Node. */
static void give_back_waiting(void *data, size_t length, void *block) {
    cslice__counts_waiting(-1, length);
    give_back(data, length, block);
}

static void give_back_waiting_by_node_api(napi_env env, void *data, void *block) {
    (void)env;
    (void)data;
    give_back_waiting(NULL, ((cslice_block *)block)->size, block);
}

static napi_value wait_for_node(napi_env env, napi_callback_info info) {
    invocation call;
    cslice_block *block;
    void *data;
    size_t size;
    if (!begin(&call, env, info, 3) || !get_range(&call, &block, &data, &size)) return NULL;
    void *isolate = call.instance->isolate;
    napi_value keeper = NULL;
    cslice_block_ref(block);
    if (isolate != NULL) {
        keeper = cslice__v8_buffer(isolate, start_of(data), size, give_back_waiting, block);
    } else {
        size = block->size;
        if (cslice__napi.napi_create_external(env, data, give_back_waiting_by_node_api, block,
                                              &keeper) != 0)
            keeper = NULL;
    }
    if (keeper != NULL) cslice__counts_waiting(1, size);
    return made(&call, keeper, data, block);
}

static napi_value borrow(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t address, size;
    if (!begin(&call, env, info, 2) || !get_uint64(&call, 0, &address) ||
        !get_uint64(&call, 1, &size))
        return NULL;
    return make(&call, (void *)(uintptr_t)address, (size_t)size, NULL);
}

static napi_value share(napi_env env, napi_callback_info info) {
    invocation call;
    cslice_block *block;
    void *data;
    size_t size;
    if (!begin(&call, env, info, 3) || !get_range(&call, &block, &data, &size)) return NULL;
    if (call.instance->isolate == NULL) return fail(&call, CSLICE_ENOVIEW);
    return cslice__v8_shared_buffer(call.instance->isolate, data, size, give_back,
                                    cslice_block_ref(block));
}

static void drop_store(void *data, size_t size, void *store) {
    (void)data;
    (void)size;
    cslice__v8_drop_store(store);
}

static napi_value attach(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t address, size;
    bool is_shared;
    if (!begin(&call, env, info, 4) || !get_bool(&call, 1, &is_shared) ||
        !get_uint64(&call, 2, &address) || !get_uint64(&call, 3, &size)) {
        return NULL;
    }
    if (call.instance->isolate == NULL) return fail(&call, CSLICE_ENOVIEW);
    if (!is_shared && !cslice__v8_is_detachable(call.values[0])) return fail(&call, CSLICE_EINVAL);
    void *store = cslice__v8_store(call.values[0], is_shared);
    cslice_block *block;
    int status =
        cslice__block_wrap((void *)(uintptr_t)address, (size_t)size, drop_store, store, &block);
    if (status == 0) return make_first(&call, block);
    cslice__v8_drop_store(store);
    return fail(&call, status);
}

static napi_value resize(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t size;
    cslice_block *block;
    if (!begin(&call, env, info, 3) || !get_block(&call, 1, &block) || !get_uint64(&call, 2, &size))
        return NULL;
    if (!cslice__block_is_renewable(block) || is_held(&call, call.values[0]))
        return fail(&call, CSLICE_EINVAL);
    cslice_block_ref(block); /* in place of the buffer's */
    if (!detach(&call, call.values[0], NULL)) {
        cslice__block_unref(block, CSLICE__BY_C);
        return NULL;
    }
    int64_t status = cslice__block_resize(block, (size_t)size);
    call.instance->cells[STATUS] = status < 0 ? (double)status : 0;
    return make(&call, block->data, block->size, block);
}

static napi_value clone(napi_env env, napi_callback_info info) {
    invocation call;
    uint64_t size;
    bool may_be_shared;
    cslice_block *block, *copy;
    if (!begin(&call, env, info, 3) || !get_block(&call, 0, &block) ||
        !get_uint64(&call, 1, &size) || !get_bool(&call, 2, &may_be_shared)) {
        return NULL;
    }
    if (!cslice__block_is_allocated(block) ||
        !(may_be_shared || cslice__block_is_renewable(block))) {
        return fail(&call, CSLICE_EINVAL);
    }
    int status = cslice__block_clone(block, (size_t)size, &copy);
    return status != 0 ? fail(&call, status) : make_first(&call, copy);
}

static napi_value disown(napi_env env, napi_callback_info info) {
    invocation call;
    cslice_block *block;
    if (!begin(&call, env, info, 2) || !get_block(&call, 1, &block)) return NULL;
    if (!cslice__block_is_disownable(block) || is_held(&call, call.values[0]))
        return fail(&call, CSLICE_EINVAL);
    void *room;
    int status = cslice__block_disown_room(block, &room);
    if (status != 0) return fail(&call, status);
    int64_t number = CSLICE_EINVAL;
    cslice_block_ref(block); /* the detach may give back the buffer's */
    bool detached = detach(&call, call.values[0], NULL);
    if (detached) {
        number = cslice__block_disown(block, room);
        call.instance->cells[ADDRESS] = (double)(uintptr_t)block->data;
    } else if (room != NULL) {
        cslice__mem_free_aligned(room, block->destructor.alignment);
    }
    cslice__block_unref(block, CSLICE__BY_C);
    bool is_pending = !detached && call.instance->isolate != NULL;
    return is_pending ? NULL : fail(&call, number);
}

static napi_value end(napi_env env, napi_callback_info info) {
    invocation call;
    if (!begin(&call, env, info, 2)) return NULL;
    cslice__thread_releasing(true);
    detach(&call, call.values[0], call.values[1]);
    cslice__thread_releasing(false);
    return NULL;
}

static napi_value lock(napi_env env, napi_callback_info info) {
    invocation call;
    if (begin(&call, env, info, 2) && call.instance->isolate != NULL)
        cslice__v8_lock(call.values[0], call.values[1]);
    return NULL;
}

/* ---- the thread ---- */

static napi_value requests(napi_env env, napi_callback_info info) {
    invocation call;
    if (!begin(&call, env, info, 0) || call.instance->loop == NULL) return NULL;
    unsigned int *first = &call.instance->loop->active_handles,
                 *last = &call.instance->loop->active_reqs.count;
    return make(&call, first, (size_t)((char *)(last + 1) - (char *)first), NULL);
}

static napi_value sockets(napi_env env, napi_callback_info info) {
    invocation call;
    uint32_t channel;
    napi_value result = NULL;
    if (!begin(&call, env, info, 1) || !get_uint32(&call, 0, &channel) ||
        call.instance->loop == NULL)
        return NULL;
    cslice__napi.napi_create_int64(
        env, cslice__loop_sockets(call.instance->loop, channel, &call.instance->early), &result);
    return result;
}

static napi_value collect(napi_env env, napi_callback_info info) {
    invocation call;
    if (begin(&call, env, info, 0) && call.instance->isolate != NULL)
        cslice__v8_collect(call.instance->isolate);
    return NULL;
}

static napi_value open_instance(napi_env env, napi_callback_info info) {
    invocation call;
    bool node, direct;
    size_t length = 0;
    void *cells = NULL, *loop = NULL;
    napi_ref kept;
    napi_value result = NULL;
    if (!begin_first(&call, env, info, 3) || !get_bool(&call, 1, &node) ||
        !get_bool(&call, 2, &direct))
        return NULL;
    if (cslice__napi.napi_get_typedarray_info(env, call.values[0], NULL, &length, &cells, NULL,
                                              NULL) != 0 ||
        length < CELLS || cslice__napi.napi_create_reference(env, call.values[0], 1, &kept) != 0) {
        return NULL;
    }
    call.instance->cells = cells;
    if (node && cslice__napi.napi_get_uv_event_loop(env, &loop) == 0) call.instance->loop = loop;
    if (call.instance->loop != NULL) cslice__loop_note(loop, &call.instance->early);
    if (direct && cslice__v8_found(give_back_store)) call.instance->isolate = cslice__v8_isolate();
    cslice__napi.napi_create_int64(env, call.instance->isolate != NULL, &result);
    return result;
}

static void wake(void *target) {
    cslice__napi.napi_call_threadsafe_function(target, NULL, NAPI_TSFN_NONBLOCKING);
}

/* The environment is about to destroy the function: from here a post waits for the next look into
 * the mailbox. */
static void stop_waking(napi_env env, void *data, void *hint) {
    (void)env;
    (void)hint;
    cslice__mailbox_set_wake(data, NULL, NULL);
    cslice__mailbox_unref(data);
}

static napi_value listen(napi_env env, napi_callback_info info) {
    invocation call;
    napi_value name, address = NULL;
    if (!begin(&call, env, info, 1)) return NULL;
    module_instance *instance = call.instance;
    if (instance->mailbox == NULL) {
        cslice__mailbox *mailbox = cslice__mailbox_new(&instance->cells[DUE]);
        if (mailbox == NULL) return NULL;
        napi_threadsafe_function function;
        if (cslice__napi.napi_create_string_utf8(env, "cslice", NAPI_AUTO_LENGTH, &name) != 0 ||
            cslice__napi.napi_create_threadsafe_function(env, call.values[0], NULL, name, 0, 1,
                                                         mailbox, stop_waking, NULL, NULL,
                                                         &function) != 0) {
            cslice__mailbox_unref(mailbox);
            return NULL;
        }
        cslice__napi.napi_unref_threadsafe_function(
            env, function);           /* waiting for destructors keeps no process alive */
        cslice__mailbox_ref(mailbox); /* one for the instance, one for the function */
        cslice__mailbox_set_wake(mailbox, wake, function);
        instance->mailbox = mailbox;
    }
    cslice__napi.napi_create_int64(env, (int64_t)(uintptr_t)instance->mailbox, &address);
    return address;
}

/* Runs however the thread ends, before V8 ends the buffers that are left. No Node-API in here. */
static void close_instance(void *data) {
    module_instance *instance = data;
    if (instance->mailbox != NULL) cslice__due_end(instance->mailbox);
    cslice__handles_close();
    cslice__thread_close();
    cslice__mem_free(instance);
}

static void export_functions(napi_env env, napi_value exports, module_instance *instance) {
    static const struct {
        const char *name;
        napi_callback *function;
    } functions[] = {
        {"open", open_instance},
        {"alloc", alloc},
        {"allocWith", alloc_with},
        {"allocGuarded", alloc_guarded},
        {"adopt", adopt},
        {"take", take},
        {"refer", refer},
        {"wait", wait_for_node},
        {"borrow", borrow},
        {"adoptCallback", adopt_callback},
        {"share", share},
        {"attach", attach},
        {"resize", resize},
        {"clone", clone},
        {"disown", disown},
        {"end", end},
        {"lock", lock},
        {"requests", requests},
        {"sockets", sockets},
        {"collect", collect},
        {"listen", listen},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        cslice__node_api_export(env, exports, functions[i].name, functions[i].function, instance);
    }
    cslice__bindings_export(env, exports);
}

/* The names are Node-API's. On failure exports are missing, which the JavaScript side checks. */
CSLICE_API napi_value napi_register_module_v1(napi_env env, napi_value exports);
CSLICE_API int32_t node_api_module_get_api_version_v1(void);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    if (!cslice__node_api_find()) return exports;
    /* V8 may call the deleter at any later moment. */
    cslice__keep_loaded((const void *)(uintptr_t)napi_register_module_v1);
    module_instance *instance = cslice__mem_alloc(sizeof *instance, 16, true);
    if (instance == NULL) return exports;
    cslice__thread_open();
    if (cslice__napi.napi_add_env_cleanup_hook(env, close_instance, instance) != 0) {
        close_instance(instance);
        return exports;
    }
    export_functions(env, exports, instance);
    return exports;
}

/* Bun runs the finalizers of a module at once where it asks for Node-API's experimental version,
   and else waits for the event loop, so that a job that never yields frees nothing. Ours call no
   Node-API, as that version demands. */
int32_t node_api_module_get_api_version_v1(void) {
    const int32_t stable = 8, experimental = INT32_MAX;
    return cslice__node_api_is_bun() ? experimental : stable;
}
