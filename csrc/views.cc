/*
 * The one file in C++: V8's interface hands backing stores about in standard smart pointers.
 *
 * V8's functions are looked up in the process, by the names and with the calling conventions of the
 * Itanium C++ ABI, which Node's builds for Linux and macOS follow. Windows has another ABI, and
 * with it other names: none is found there, and Node-API makes the buffers. No header of V8 or of
 * the C++ library is needed, and no C++ runtime, so that a C program can load this library too.
 */
#include "views.h"
#include "platform.h"

#include <stdint.h>

namespace {

/* ---- std::shared_ptr, as the C++ library of each system lays it out ---- */

/* What all the pointers to one object share. */
#if defined(__APPLE__)
#define SHARED_PTR_OF_STORE "NSt3__110shared_ptrINS_12BackingStoreEEE"

class Shared {
  public:
    virtual void destructor() {}
    virtual void deleting_destructor() {}
    virtual void end_object() {}
    virtual const void *get_deleter(const void *) const { return nullptr; }
    virtual void end_this() {}

    void let_go() {
        if (__atomic_fetch_sub(&owners, 1, __ATOMIC_ACQ_REL) != 0) return;
        end_object();
        if (__atomic_fetch_sub(&weak_owners, 1, __ATOMIC_ACQ_REL) == 0) end_this();
    }
    long count() const { return __atomic_load_n(&owners, __ATOMIC_RELAXED) + 1; }

  private:
    long owners = 0; /* less one */
    long weak_owners = 0;
};
#else
#define SHARED_PTR_OF_STORE "St10shared_ptrINS_12BackingStoreEE"

class Shared {
  public:
    virtual void destructor() {}
    virtual void deleting_destructor() {}
    virtual void end_object() {}
    virtual void end_this() {}
    virtual void *get_deleter(const void *) { return nullptr; }

    void let_go() {
        if (__atomic_fetch_sub(&owners, 1, __ATOMIC_ACQ_REL) != 1) return;
        end_object();
        if (__atomic_fetch_sub(&weak_owners, 1, __ATOMIC_ACQ_REL) == 1) end_this();
    }
    long count() const { return __atomic_load_n(&owners, __ATOMIC_RELAXED); }

  private:
    int owners = 1;
    int weak_owners = 1; /* with one for all the owners */
};
#endif

/* A std::shared_ptr<v8::BackingStore>. The destructor makes it one that is passed and returned by
 * address. */
struct StorePointer {
    void *backing = nullptr;
    Shared *shared = nullptr;

    StorePointer(void *object, Shared *with) : backing(object), shared(with) {}
    StorePointer(const StorePointer &) = delete;
    StorePointer &operator=(const StorePointer &) = delete;
    ~StorePointer() {
        if (shared != nullptr) shared->let_go();
    }
};

/* A std::unique_ptr<v8::BackingStore> whose object the receiver takes. */
struct OwnedStore {
    void *backing = nullptr;

    OwnedStore(const OwnedStore &) = delete;
    OwnedStore &operator=(const OwnedStore &) = delete;
    ~OwnedStore() {}
};

/* v8::Local, v8::Maybe. */
struct Local {
    void *slot;
};
struct MaybeBool {
    bool has_value;
    bool value;
};

/* ---- the functions ---- */

#if UINTPTR_MAX > UINT32_MAX
#define SIZE "m"
#define SIZE_NEW "_Znwm"
#else
#define SIZE "j"
#define SIZE_NEW "_Znwj"
#endif
#define BACKING_STORE_OF(buffer) "_ZN2v8" buffer "15NewBackingStoreEPv" SIZE "PFvS1_" SIZE "S1_ES1_"

/* A member function takes its object first. */
#define FUNCTION_MAP(X)                                                                            \
    X(current_isolate, "_ZN2v87Isolate10GetCurrentEv", void *, ())                                 \
    X(collect, "_ZN2v87Isolate21LowMemoryNotificationEv", void, (void *isolate))                   \
    X(end_store, "_ZN2v812BackingStoreD1Ev", void, (void *backing))                                \
    X(new_store, BACKING_STORE_OF("11ArrayBuffer"), OwnedStore,                                    \
      (void *data, size_t length, cslice__deleter *deleter, void *context))                        \
    X(new_buffer, "_ZN2v811ArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE, Local,              \
      (void *isolate, StorePointer store))                                                         \
    X(store_of, "_ZN2v811ArrayBuffer15GetBackingStoreEv", StorePointer, (napi_value buffer))       \
    X(is_detachable, "_ZNK2v811ArrayBuffer12IsDetachableEv", bool, (napi_value buffer))            \
    X(set_key, "_ZN2v811ArrayBuffer12SetDetachKeyENS_5LocalINS_5ValueEEE", void,                   \
      (napi_value buffer, Local key))                                                              \
    X(detach, "_ZN2v811ArrayBuffer6DetachENS_5LocalINS_5ValueEEE", MaybeBool,                      \
      (napi_value buffer, Local key))                                                              \
    X(new_shared_store, BACKING_STORE_OF("17SharedArrayBuffer"), OwnedStore,                       \
      (void *data, size_t length, cslice__deleter *deleter, void *context))                        \
    X(new_shared_buffer, "_ZN2v817SharedArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE, Local, \
      (void *isolate, StorePointer store))                                                         \
    X(shared_store_of, "_ZN2v817SharedArrayBuffer15GetBackingStoreEv", StorePointer,               \
      (napi_value buffer))                                                                         \
    /* The allocator of C++, which V8 has its backing stores from. */                              \
    X(allocate, SIZE_NEW, void *, (size_t size))                                                   \
    X(deallocate, "_ZdlPv", void, (void *memory))

struct {
#define X(name, symbol, result, parameters) result(*name) parameters;
    FUNCTION_MAP(X)
#undef X
} v8;

cslice__ended *store_ended;

void delete_store(void *backing) {
    v8.end_store(backing);
    v8.deallocate(backing);
}

/* ---- what the pointers to a backing store share ---- */

/* It ends the store, and itself. */
class Deleting final : public Shared {
  public:
    explicit Deleting(void *object) : backing(object) {}
    void end_object() override { delete_store(backing); }
    void end_this() override { v8.deallocate(this); }

  private:
    void *backing;
};

/* It is kept in a cslice__store, as the backing store is. Its end is the last that the pointers do:
 * neither they nor V8 touch it after that. */
class Kept final : public Shared {
  public:
    void end_this() override {
        char *holder = reinterpret_cast<char *>(this);
        cslice__ended *ended = __atomic_load_n(&store_ended, __ATOMIC_RELAXED);
        ended(reinterpret_cast<cslice__store *>(holder - offsetof(cslice__store, holder)));
    }
};

struct Placed {};

static_assert(sizeof(Kept) <= sizeof cslice__store::holder, "it fits");

} // namespace

/* As <new> has it, with a type of our own. */
inline void *operator new(size_t, void *place, Placed) noexcept {
    return place;
}

namespace {

Shared *deleting(void *backing) {
    return new (v8.allocate(sizeof(Deleting)), Placed()) Deleting(backing);
}

napi_value value_of(Local buffer) {
    return static_cast<napi_value>(buffer.slot);
}

} // namespace

static bool found = true;

static void find() {
#define X(name, symbol, result, parameters)                                                        \
    v8.name = reinterpret_cast<result(*) parameters>(cslice__symbol(symbol));                      \
    found = found && v8.name != nullptr;
    FUNCTION_MAP(X)
#undef X
}

bool cslice__v8_found(cslice__ended *ended) {
    static cslice__once once = CSLICE__ONCE_INIT;
    cslice__once_run(&once, find);
    __atomic_store_n(&store_ended, ended, __ATOMIC_RELAXED);
    return found;
}

void *cslice__v8_isolate(void) {
    return v8.current_isolate();
}

napi_value cslice__v8_buffer(void *isolate, void *data, size_t length, cslice__deleter *deleter,
                             void *context) {
    OwnedStore owned = v8.new_store(data, length, deleter, context);
    return value_of(v8.new_buffer(isolate, {owned.backing, deleting(owned.backing)}));
}

static void keep_memory(void *, size_t, void *) {}

napi_value cslice__v8_show(void *isolate, cslice__store *store, void *data, size_t length) {
    if (store->backing == nullptr)
        store->backing = v8.new_store(data, length, keep_memory, nullptr).backing;
    Shared *kept = new (store->holder, Placed()) Kept();
    return value_of(v8.new_buffer(isolate, {store->backing, kept}));
}

void cslice__v8_forget(cslice__store *store) {
    if (store->backing != nullptr) delete_store(store->backing);
    store->backing = nullptr;
}

napi_value cslice__v8_shared_buffer(void *isolate, void *data, size_t length,
                                    cslice__deleter *deleter, void *context) {
    OwnedStore owned = v8.new_shared_store(data, length, deleter, context);
    return value_of(v8.new_shared_buffer(isolate, {owned.backing, deleting(owned.backing)}));
}

void cslice__v8_lock(napi_value buffer, napi_value key) {
    v8.set_key(buffer, {key});
}

bool cslice__v8_detach(napi_value buffer, napi_value key) {
    return v8.detach(buffer, {key}).has_value;
}

void cslice__v8_collect(void *isolate) {
    v8.collect(isolate);
}

void *cslice__v8_store(napi_value buffer, bool is_shared) {
    StorePointer store = is_shared ? v8.shared_store_of(buffer) : v8.store_of(buffer);
    Shared *shared = store.shared;
    store.shared = nullptr; /* the caller has this reference from here */
    return shared;
}

bool cslice__v8_is_held(napi_value buffer) {
    StorePointer store = v8.store_of(buffer);
    return store.shared != nullptr && store.shared->count() > 2; /* the buffer's, and this one */
}

bool cslice__v8_is_detachable(napi_value buffer) {
    return v8.is_detachable(buffer);
}

void cslice__v8_drop_store(void *store) {
    if (store != nullptr) static_cast<Shared *>(store)->let_go();
}
