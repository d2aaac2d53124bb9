/*
 * ArrayBuffers whose memory is ours and whose life is V8's: V8 runs a deleter of ours once the last
 * buffer over the bytes is gone, wherever the bytes have moved. Node-API has no such buffers: its
 * finalizers wait for the event loop.
 *
 * V8 is reached by a few functions that Node exports, whose mangled names carry their whole
 * signatures. They are weak: a V8 in which one of them has changed lacks the name. The JavaScript
 * side uses them only on versions of Node that the tests have run on.
 */
#ifndef CSLICE_VIEWS_H
#define CSLICE_VIEWS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a napi_value is, and a v8::Local: a pointer to a slot of the handle scope. */
typedef struct napi_value__ *napi_value;

/* V8 calls it at a detach, in a collection, on a thread of its own, and as the isolate ends. It
 * must not call V8. */
typedef void cslice__deleter(void *data, size_t length, void *context);

/* What V8 needs to show one piece of memory, a part of what describes that memory, so that each
   buffer over it costs V8 one small allocation in place of three. All zero: nothing is made yet. */
typedef struct cslice__store {
    void *backing;   /* V8's BackingStore over the memory; kept from one buffer to the next */
    void *holder[4]; /* the control block of the pointers by which V8 shares it, while a buffer
                        shows it */
} cslice__store;

/* The last buffer over the memory is gone. Called as a deleter is; from here on the store may be
 * shown again. */
typedef void cslice__ended(cslice__store *store);

/* Whether this process has V8's functions. `ended` is for all stores, and every call has the same.
 */
bool cslice__v8_found(cslice__ended *ended);
/* The calling thread's. NULL: it has none. */
void *cslice__v8_isolate(void);
/* A new buffer over memory that `deleter` gives back. In a handle scope of that isolate's thread.
 */
napi_value cslice__v8_buffer(void *isolate, void *data, size_t length, cslice__deleter *deleter,
                             void *context);
/* The same with a store that no buffer shows. Data and length are those of its earlier buffers. */
napi_value cslice__v8_show(void *isolate, cslice__store *store, void *data, size_t length);
/* The memory of a store that no buffer shows is about to change or to end. From any thread. */
void cslice__v8_forget(cslice__store *store);
/* As cslice__v8_buffer, a SharedArrayBuffer. */
napi_value cslice__v8_shared_buffer(void *isolate, void *data, size_t length,
                                    cslice__deleter *deleter, void *context);
/* From here only who has the key can detach the buffer. Where V8 aborts on such buffers, the caller
 * must not ask. */
void cslice__v8_lock(napi_value buffer, napi_value key);
/* Detaches a buffer; `key` is NULL for one that we have not locked. False: somebody else has locked
   it, and a JavaScript exception is pending. */
bool cslice__v8_detach(napi_value buffer, napi_value key);
/* A full garbage collection. */
void cslice__v8_collect(void *isolate);
/* Holds the memory under an ArrayBuffer or a SharedArrayBuffer until cslice__v8_drop_store, from
 * any thread. */
void *cslice__v8_store(napi_value buffer, bool is_shared);
/* Whether anything but the buffer holds its memory: a pin, or an operation of Node. */
bool cslice__v8_is_held(napi_value buffer);
/* False for the memory of WebAssembly, which may move when it grows. */
bool cslice__v8_is_detachable(napi_value buffer);
void cslice__v8_drop_store(void *store);

#ifdef __cplusplus
}
#endif

#endif
