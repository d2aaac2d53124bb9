/* platform.h for Linux, macOS and other systems with POSIX threads. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* dladdr, RTLD_DEFAULT */
#endif
#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

bool cslice__mutex_open(cslice__mutex *mutex) {
    return pthread_mutex_init(mutex, NULL) == 0;
}

void cslice__mutex_close(cslice__mutex *mutex) {
    pthread_mutex_destroy(mutex);
}

void cslice__mutex_lock(cslice__mutex *mutex) {
    pthread_mutex_lock(mutex);
}

void cslice__mutex_unlock(cslice__mutex *mutex) {
    pthread_mutex_unlock(mutex);
}

/* The binary that serves every libc asks for no version of a symbol. glibc on x64 and s390x then
   takes the first version of the two functions below, which keeps its state in a block that it
   allocates at the first use. Nothing here mixes the two versions. */
void cslice__condition_wait(cslice__condition *condition, cslice__mutex *mutex) {
    pthread_cond_wait(condition, mutex);
}

void cslice__condition_tell(cslice__condition *condition) {
    pthread_cond_broadcast(condition);
}

void cslice__once_run(cslice__once *once, void (*function)(void)) {
    pthread_once(once, function);
}

static void *run(void *function) {
    void (*start)(void);
    *(void **)&start = function; /* POSIX's own way */
    start();
    return NULL;
}

bool cslice__thread_start(cslice__thread_handle *thread, void (*function)(void)) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, run, *(void **)&function) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void cslice__thread_join(cslice__thread_handle thread) {
    pthread_join(thread, NULL);
}

unsigned cslice__process(void) {
    return (unsigned)getpid();
}

bool cslice__is_output(cslice__file file) {
    return file == 1 || file == 2;
}

uint64_t cslice__socket_id(cslice__file file) {
#ifdef SO_COOKIE /* of Linux */
    uint64_t id = 0;
    socklen_t size = sizeof id;
    return getsockopt(file, SOL_SOCKET, SO_COOKIE, &id, &size) == 0 ? id : 0;
#else
    (void)file;
    return 0;
#endif
}

void *cslice__symbol(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

bool cslice__keep_loaded(const void *address) {
    Dl_info info;
    if (dladdr(address, &info) == 0) return false;
    /* Already loaded, so this only raises its count. The executable itself has no such name. */
    (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    return true;
}

void *cslice__aligned_alloc(size_t size, size_t alignment) {
    void *memory;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

void cslice__aligned_free(void *memory) {
    free(memory);
}

void cslice__advise_huge_pages(void *memory, size_t size) {
#if defined(MADV_HUGEPAGE)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(page - 1);
    int saved = errno;
    madvise((void *)start, end - start, MADV_HUGEPAGE); /* where it is refused, small pages serve */
    errno = saved;
#else
    (void)memory;
    (void)size;
#endif
}
