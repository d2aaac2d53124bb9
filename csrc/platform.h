/*
 * What operating systems do differently: locks, threads, symbols, pages. platform_posix.c has it
 * for Linux and macOS, platform_windows.c for Windows; the other files have no branches for
 * systems.
 *
 * One binary for Linux serves glibc and musl. It is built with glibc's headers, whose types are as
 * large as musl's or larger, and calls only functions that both have.
 */
#ifndef CSLICE_PLATFORM_H
#define CSLICE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
typedef struct cslice__mutex {
    void *state; /* SRWLOCK */
} cslice__mutex;
typedef struct cslice__condition {
    void *state; /* CONDITION_VARIABLE */
} cslice__condition;
typedef struct cslice__once {
    void *state; /* INIT_ONCE */
} cslice__once;
typedef void *cslice__thread_handle;
typedef void *cslice__file;
#define CSLICE__MUTEX_INIT {NULL}
#define CSLICE__CONDITION_INIT {NULL}
#define CSLICE__ONCE_INIT {NULL}
/* The system has ended all other threads by then. */
#define CSLICE__AT_END __attribute__((unused))
#else
#include <pthread.h>
typedef pthread_mutex_t cslice__mutex;
typedef pthread_cond_t cslice__condition;
typedef pthread_once_t cslice__once;
typedef pthread_t cslice__thread_handle;
typedef int cslice__file;
#define CSLICE__MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define CSLICE__CONDITION_INIT PTHREAD_COND_INITIALIZER
#define CSLICE__ONCE_INIT PTHREAD_ONCE_INIT
/* For a function that runs at the end of the process, or where the library is unloaded. */
#define CSLICE__AT_END __attribute__((destructor))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* In place of the initializer. False: the system has no more of them. */
bool cslice__mutex_open(cslice__mutex *mutex);
void cslice__mutex_close(cslice__mutex *mutex);
void cslice__mutex_lock(cslice__mutex *mutex);
void cslice__mutex_unlock(cslice__mutex *mutex);

/* Unlocks the mutex, waits, and locks it again. May return for no reason. */
void cslice__condition_wait(cslice__condition *condition, cslice__mutex *mutex);
/* Wakes all that wait. */
void cslice__condition_tell(cslice__condition *condition);

/* Runs `function` unless it has run for this object. */
void cslice__once_run(cslice__once *once, void (*function)(void));

/* A thread that gets no signals. False: the system refuses. */
bool cslice__thread_start(cslice__thread_handle *thread, void (*function)(void));
void cslice__thread_join(cslice__thread_handle thread);

/* Another number in a forked child. */
unsigned cslice__process(void);

/* Whether it is the standard output or the standard error. */
bool cslice__is_output(cslice__file file);

/* A number that no other socket ever has. 0: it is none, or the system has no such numbers. */
uint64_t cslice__socket_id(cslice__file file);

/* A function that the process exports: its executable, or a library that it has loaded. NULL: there
 * is none. */
void *cslice__symbol(const char *name);
/* Keeps the library or executable that holds the code at `address` loaded for ever. False: none
 * holds it. */
bool cslice__keep_loaded(const void *address);

/* malloc with an alignment that malloc does not have by itself. For cslice__aligned_free alone. */
void *cslice__aligned_alloc(size_t size, size_t alignment);
void cslice__aligned_free(void *memory);
/* Asks for huge pages, before the first touch. Changes no errno. */
void cslice__advise_huge_pages(void *memory, size_t size);

/* ---- symbols.c ---- */

/* A function of the process by its name, and the pointer that is to have it. */
typedef struct cslice__wanted {
    const char *name;
    void *where;
} cslice__wanted;

/* False: the process lacks some, whose pointers are NULL. */
bool cslice__find_functions(const cslice__wanted *functions, size_t count);

#ifdef __cplusplus
}
#endif

#endif
