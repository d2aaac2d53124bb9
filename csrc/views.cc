/* The one file in C++: V8's interface hands backing stores about in standard smart pointers. */
#include "views.h"

#include <atomic>
#include <dlfcn.h>
#include <memory>
#include <new>

#define WEAK __attribute__((weak))

/* Weak, so that a C program can load this library without the C++ runtime: only V8's functions lead
 * to them. */
WEAK void *operator new(std::size_t);
WEAK void operator delete(void *) noexcept;
WEAK void operator delete(void *, std::size_t) noexcept;

/* Declarations as in V8's headers, reduced to what their mangled names and calling conventions
 * need. */
namespace v8 {

class Isolate {
  public:
    WEAK static Isolate *GetCurrent();
    WEAK void LowMemoryNotification();
};

class Value;

template <class T> class Local {
  public:
    T *slot;
};

template <class T> class Maybe {
  public:
    bool has_value;
    T value;
};

class BackingStore {
  public:
    WEAK ~BackingStore();
    /* As V8 frees it. */
    static void operator delete(void *store) { ::operator delete(store); }
};

class SharedArrayBuffer;

class ArrayBuffer {
  public:
    WEAK static std::unique_ptr<BackingStore>
    NewBackingStore(void *data, size_t length, void (*deleter)(void *, size_t, void *),
                    void *context);
    WEAK static Local<ArrayBuffer> New(Isolate *, std::shared_ptr<BackingStore>);
    WEAK std::shared_ptr<BackingStore> GetBackingStore();
    WEAK bool IsDetachable() const;
    WEAK void SetDetachKey(Local<Value>);
    WEAK Maybe<bool> Detach(Local<Value>);
};

class SharedArrayBuffer {
  public:
    WEAK static std::unique_ptr<BackingStore>
    NewBackingStore(void *data, size_t length, void (*deleter)(void *, size_t, void *),
                    void *context);
    WEAK static Local<SharedArrayBuffer> New(Isolate *, std::shared_ptr<BackingStore>);
    WEAK std::shared_ptr<BackingStore> GetBackingStore();
};

} // namespace v8

namespace {

#if defined(__APPLE__)
#define SHARED_PTR_OF_STORE "NSt3__110shared_ptrINS_12BackingStoreEEE"
#else
#define SHARED_PTR_OF_STORE "St10shared_ptrINS_12BackingStoreEE"
#endif

/* Every function of V8 that this file calls. */
const char *const names[] = {
    "_ZN2v87Isolate10GetCurrentEv",
    "_ZN2v87Isolate21LowMemoryNotificationEv",
    "_ZN2v812BackingStoreD1Ev",
    "_ZN2v811ArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_",
    "_ZN2v811ArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE,
    "_ZN2v811ArrayBuffer15GetBackingStoreEv",
    "_ZNK2v811ArrayBuffer12IsDetachableEv",
    "_ZN2v811ArrayBuffer12SetDetachKeyENS_5LocalINS_5ValueEEE",
    "_ZN2v811ArrayBuffer6DetachENS_5LocalINS_5ValueEEE",
    "_ZN2v817SharedArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_",
    "_ZN2v817SharedArrayBuffer3NewEPNS_7IsolateE" SHARED_PTR_OF_STORE,
    "_ZN2v817SharedArrayBuffer15GetBackingStoreEv",
};

v8::Local<v8::Value> local(napi_value value) {
    return {reinterpret_cast<v8::Value *>(value)};
}

std::atomic<cslice__ended *> store_ended;

/* Keeps the control block of a shared pointer in the store itself. To deallocate is the last thing
   that the pointers do: neither they nor V8 touch the store after it. */
template <class T> struct Room {
    using value_type = T;
    cslice__store *store;

    explicit Room(cslice__store *room) : store(room) {}
    template <class U> Room(const Room<U> &other) : store(other.store) {}

    T *allocate(std::size_t) {
        static_assert(sizeof(T) <= sizeof store->holder, "a control block fits");
        return reinterpret_cast<T *>(store->holder);
    }
    void deallocate(T *, std::size_t) { store_ended.load(std::memory_order_relaxed)(store); }

    template <class U> bool operator==(const Room<U> &other) const { return store == other.store; }
    template <class U> bool operator!=(const Room<U> &other) const { return store != other.store; }
};

/* What the pointers do to the backing store at their end. */
struct Keep {
    void operator()(v8::BackingStore *) const {}
};

void keep_memory(void *, std::size_t, void *) {}

template <class Buffer>
napi_value make(void *isolate, void *data, size_t length, cslice__deleter *deleter, void *context) {
    auto store = Buffer::NewBackingStore(data, length, deleter, context);
    auto buffer = Buffer::New(static_cast<v8::Isolate *>(isolate), std::move(store));
    return reinterpret_cast<napi_value>(buffer.slot);
}

} // namespace

bool cslice__v8_found(cslice__ended *ended) {
    /* By name: a compiler takes the address of a member function for one that is never null. */
    for (const char *name : names) {
        if (dlsym(RTLD_DEFAULT, name) == nullptr) return false;
    }
    store_ended.store(ended, std::memory_order_relaxed);
    return true;
}

void *cslice__v8_isolate(void) {
    return v8::Isolate::GetCurrent();
}

napi_value cslice__v8_buffer(void *isolate, void *data, size_t length, cslice__deleter *deleter,
                             void *context) {
    return make<v8::ArrayBuffer>(isolate, data, length, deleter, context);
}

napi_value cslice__v8_show(void *isolate, cslice__store *store, void *data, size_t length) {
    if (store->backing == nullptr) {
        store->backing =
            v8::ArrayBuffer::NewBackingStore(data, length, keep_memory, nullptr).release();
    }
    auto *backing = static_cast<v8::BackingStore *>(store->backing);
    std::shared_ptr<v8::BackingStore> pointer(backing, Keep(), Room<v8::BackingStore>(store));
    auto buffer = v8::ArrayBuffer::New(static_cast<v8::Isolate *>(isolate), std::move(pointer));
    return reinterpret_cast<napi_value>(buffer.slot);
}

void cslice__v8_forget(cslice__store *store) {
    delete static_cast<v8::BackingStore *>(store->backing);
    store->backing = nullptr;
}

napi_value cslice__v8_shared_buffer(void *isolate, void *data, size_t length,
                                    cslice__deleter *deleter, void *context) {
    return make<v8::SharedArrayBuffer>(isolate, data, length, deleter, context);
}

void cslice__v8_lock(napi_value buffer, napi_value key) {
    reinterpret_cast<v8::ArrayBuffer *>(buffer)->SetDetachKey(local(key));
}

bool cslice__v8_detach(napi_value buffer, napi_value key) {
    return reinterpret_cast<v8::ArrayBuffer *>(buffer)->Detach(local(key)).has_value;
}

void cslice__v8_collect(void *isolate) {
    static_cast<v8::Isolate *>(isolate)->LowMemoryNotification();
}

void *cslice__v8_store(napi_value buffer, bool is_shared) {
    auto store = is_shared ? reinterpret_cast<v8::SharedArrayBuffer *>(buffer)->GetBackingStore()
                           : reinterpret_cast<v8::ArrayBuffer *>(buffer)->GetBackingStore();
    return new std::shared_ptr<v8::BackingStore>(std::move(store));
}

bool cslice__v8_is_held(napi_value buffer) {
    /* One is the buffer's and one is in here. */
    return reinterpret_cast<v8::ArrayBuffer *>(buffer)->GetBackingStore().use_count() > 2;
}

bool cslice__v8_is_detachable(napi_value buffer) {
    return reinterpret_cast<const v8::ArrayBuffer *>(buffer)->IsDetachable();
}

void cslice__v8_drop_store(void *store) {
    delete static_cast<std::shared_ptr<v8::BackingStore> *>(store);
}
