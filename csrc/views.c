/*
 * V8's functions are looked up in the process, by the names and with the calling conventions of the
 * Itanium C++ ABI, which Node's builds for Linux and macOS follow. Windows has another ABI, and
 * with it other names: none is found there, and Node-API makes the buffers.
 *
 * Three rules of that ABI let C call them. A member function takes its object first. A class with a
 * destructor, as the standard smart pointers are, is passed by address, and returned to an address
 * that the caller gives, as C returns a large struct. An object with virtual functions begins with
 * the address of a table of them.
 */
#include "internal.h"

#include <stdatomic.h>
#include <stddef.h>

/* ---- std::shared_ptr, as the C++ library of each system lays it out ---- */

typedef struct shared shared;
typedef void shared_function(shared *self);

/* The virtual functions of what all the pointers to one object share, and its counts. */
#if defined(__APPLE__)
#define SHARED_PTR_OF_STORE "NSt3__110shared_ptrINS_12BackingStoreEEE"

typedef struct shared_functions {
    shared_function *destructor, *deleting_destructor, *end_object;
    const void *(*get_deleter)(const shared *self, const void *type);
    shared_function *end_this;
} shared_functions;

typedef long shared_count;
#define FIRST_OWNER 0 /* counts are less by one */
#else
#define SHARED_PTR_OF_STORE "St10shared_ptrINS_12BackingStoreEE"

typedef struct shared_functions {
    shared_function *destructor, *deleting_destructor, *end_object, *end_this;
    const void *(*get_deleter)(const shared *self, const void *type);
} shared_functions;

typedef int shared_count;
#define FIRST_OWNER 1
#endif

struct shared {
    const shared_functions *functions;
    _Atomic shared_count owners;
    _Atomic shared_count weak_owners; /* one of them is that of all the owners */
};

static void let_go(shared *self) {
    if (atomic_fetch_sub_explicit(&self->owners, 1, memory_order_acq_rel) != FIRST_OWNER) return;
    self->functions->end_object(self);
    if (atomic_fetch_sub_explicit(&self->weak_owners, 1, memory_order_acq_rel) == FIRST_OWNER)
        self->functions->end_this(self);
}

static void open_shared(shared *self, const shared_functions *functions) {
    self->functions = functions;
    atomic_init(&self->owners, FIRST_OWNER);
    atomic_init(&self->weak_owners, FIRST_OWNER);
}

static void do_nothing(shared *self) {
    (void)self;
}

static const void *no_deleter(const shared *self, const void *type) {
    (void)self;
    (void)type;
    return NULL;
}

/* A std::shared_ptr<v8::BackingStore>. */
typedef struct store_pointer {
    void *backing;
    shared *shared;
} store_pointer;

/* What a function writes that returns a smart pointer. Large enough that C returns it in memory
 * everywhere; the function writes the pointer alone. */
typedef struct returned {
    store_pointer pointer; /* of a std::unique_ptr the first word */
    void *unused[4];
} returned;

/* v8::Local, v8::Maybe. */
typedef struct local {
    void *slot;
} local;
typedef struct maybe_bool {
    bool has_value;
    bool value;
} maybe_bool;

/* ---- the functions ---- */

#if UINTPTR_MAX > UINT32_MAX
#define SIZE "m"
#else
#define SIZE "j"
#endif
#define BACKING_STORE_OF(buffer) "_ZN2v8" buffer "15NewBackingStoreEPv" SIZE "PFvS1_" SIZE "S1_ES1_"

#define FUNCTION_MAP(X)                                                                            \
    X(current_isolate, "_ZN2v87Isolate10GetCurrentEv", void *, (void))                             \
    X(collect, "_ZN2v87Isolate21LowMemoryNotificationEv", void, (void *isolate))                   \
    X(end_store, "_ZN2v812BackingStoreD1Ev", void, (void *backing))                                \
    X(new_store, BACKING_STORE_OF("11ArrayBuffer"), returned,                                      \
      (void *data, size_t length, cslice__deleter *deleter, void *context))                        \
    X(new_buffer, "_ZN2v811ArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE, local,              \
      (void *isolate, store_pointer *store))                                                       \
    X(store_of, "_ZN2v811ArrayBuffer15GetBackingStoreEv", returned, (napi_value buffer))           \
    X(is_detachable, "_ZNK2v811ArrayBuffer12IsDetachableEv", bool, (napi_value buffer))            \
    X(set_key, "_ZN2v811ArrayBuffer12SetDetachKeyENS_5LocalINS_5ValueEEE", void,                   \
      (napi_value buffer, local key))                                                              \
    X(detach, "_ZN2v811ArrayBuffer6DetachENS_5LocalINS_5ValueEEE", maybe_bool,                     \
      (napi_value buffer, local key))                                                              \
    X(new_shared_store, BACKING_STORE_OF("17SharedArrayBuffer"), returned,                         \
      (void *data, size_t length, cslice__deleter *deleter, void *context))                        \
    X(new_shared_buffer, "_ZN2v817SharedArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE, local, \
      (void *isolate, store_pointer *store))                                                       \
    X(shared_store_of, "_ZN2v817SharedArrayBuffer15GetBackingStoreEv", returned,                   \
      (napi_value buffer))                                                                         \
    /* C++'s allocator, which V8 has its backing stores from. */                                   \
    X(allocate, "_Znw" SIZE, void *, (size_t size))                                                \
    X(deallocate, "_ZdlPv", void, (void *memory))

static struct {
#define X(name, symbol, result, parameters) result(*name) parameters;
    FUNCTION_MAP(X)
#undef X
} v8;

static _Atomic(cslice__ended *) store_ended;

static void delete_store(void *backing) {
    v8.end_store(backing);
    v8.deallocate(backing);
}

/* ---- what the pointers to a backing store share ---- */

/* It ends the store, and itself. */
typedef struct deleting {
    shared base;
    void *backing;
} deleting;

static void end_backing(shared *self) {
    delete_store(((deleting *)self)->backing);
}

static void end_deleting(shared *self) {
    v8.deallocate(self);
}

static const shared_functions deleting_functions = {
    .destructor = do_nothing,
    .deleting_destructor = do_nothing,
    .end_object = end_backing,
    .end_this = end_deleting,
    .get_deleter = no_deleter,
};

static store_pointer deleted_by_last(void *backing) {
    deleting *made = v8.allocate(sizeof *made);
    open_shared(&made->base, &deleting_functions);
    made->backing = backing;
    return (store_pointer){backing, &made->base};
}

/* It is kept in a cslice__store, as the backing store is. Its end is the last that the pointers do:
 * neither they nor V8 touch it after that. */
static void end_kept(shared *self) {
    cslice__ended *ended = atomic_load_explicit(&store_ended, memory_order_relaxed);
    ended((cslice__store *)((char *)self - offsetof(cslice__store, holder)));
}

static const shared_functions kept_functions = {
    .destructor = do_nothing,
    .deleting_destructor = do_nothing,
    .end_object = do_nothing,
    .end_this = end_kept,
    .get_deleter = no_deleter,
};

_Static_assert(sizeof(shared) <= sizeof((cslice__store *)NULL)->holder, "it fits");

/* V8 takes the reference over, and leaves an empty pointer; should it not, it is given back here.
 */
static napi_value make(local (*create)(void *, store_pointer *), void *isolate,
                       store_pointer store) {
    local buffer = create(isolate, &store);
    if (store.shared != NULL) let_go(store.shared);
    return buffer.slot;
}

/* ---- views.h ---- */

static bool found;

static void find(void) {
    static const cslice__wanted functions[] = {
#define X(name, symbol, result, parameters) {symbol, &v8.name},
        FUNCTION_MAP(X)
#undef X
    };
    found = cslice__find_functions(functions, sizeof functions / sizeof *functions);
}

bool cslice__v8_found(cslice__ended *ended) {
    static cslice__once once = CSLICE__ONCE_INIT;
    cslice__once_run(&once, find);
    atomic_store_explicit(&store_ended, ended, memory_order_relaxed);
    return found;
}

void *cslice__v8_isolate(void) {
    return v8.current_isolate();
}

napi_value cslice__v8_buffer(void *isolate, void *data, size_t length, cslice__deleter *deleter,
                             void *context) {
    returned made = v8.new_store(data, length, deleter, context);
    return make(v8.new_buffer, isolate, deleted_by_last(made.pointer.backing));
}

static void keep_memory(void *data, size_t length, void *context) {
    (void)data;
    (void)length;
    (void)context;
}

napi_value cslice__v8_show(void *isolate, cslice__store *store, void *data, size_t length) {
    if (store->backing == NULL)
        store->backing = v8.new_store(data, length, keep_memory, NULL).pointer.backing;
    shared *kept = (shared *)store->holder;
    open_shared(kept, &kept_functions);
    return make(v8.new_buffer, isolate, (store_pointer){store->backing, kept});
}

void cslice__v8_forget(cslice__store *store) {
    if (store->backing != NULL) delete_store(store->backing);
    store->backing = NULL;
}

napi_value cslice__v8_shared_buffer(void *isolate, void *data, size_t length,
                                    cslice__deleter *deleter, void *context) {
    returned made = v8.new_shared_store(data, length, deleter, context);
    return make(v8.new_shared_buffer, isolate, deleted_by_last(made.pointer.backing));
}

void cslice__v8_lock(napi_value buffer, napi_value key) {
    v8.set_key(buffer, (local){key});
}

bool cslice__v8_detach(napi_value buffer, napi_value key) {
    return v8.detach(buffer, (local){key}).has_value;
}

void cslice__v8_collect(void *isolate) {
    v8.collect(isolate);
}

void *cslice__v8_store(napi_value buffer, bool is_shared) {
    returned store = is_shared ? v8.shared_store_of(buffer) : v8.store_of(buffer);
    return store.pointer.shared;
}

bool cslice__v8_is_held(napi_value buffer) {
    shared *store = v8.store_of(buffer).pointer.shared;
    if (store == NULL) return false;
    shared_count first_and_this = FIRST_OWNER + 1;
    bool held = atomic_load_explicit(&store->owners, memory_order_relaxed) > first_and_this;
    let_go(store);
    return held;
}

bool cslice__v8_is_detachable(napi_value buffer) {
    return v8.is_detachable(buffer);
}

void cslice__v8_drop_store(void *store) {
    if (store != NULL) let_go(store);
}
