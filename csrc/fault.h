/*
 * Pages that can be made inaccessible, and what happens where one of them is touched: for guard.c
 * alone. fault_posix.c has it for Linux and macOS, fault_windows.c for Windows.
 */
#ifndef CSLICE_FAULT_H
#define CSLICE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

size_t cslice__page_size(void);

/* Sizes and addresses below are whole pages. */

/* Address space without memory, of which no byte can be accessed. NULL: the system refuses. */
void *cslice__pages_reserve(size_t size);
/* Gives pages zeroed memory. False: the system refuses, and nothing has changed. */
bool cslice__pages_open(void *pages, size_t size);
/* Takes it away again. False: the system refuses, and the pages may still be accessed. */
bool cslice__pages_shut(void *pages, size_t size);
/* Everything that one call of cslice__pages_reserve returned. */
void cslice__pages_free(void *pages, size_t size);

typedef enum cslice__access {
    CSLICE__ACCESSED, /* the processor does not tell */
    CSLICE__READ,
    CSLICE__WRITTEN
} cslice__access;

/* An access to memory that cannot be accessed, or an abort(). */
typedef struct cslice__fault {
    const char *name;    /* what the system calls it */
    const char *address; /* NULL: an abort() */
    const char *code;    /* the instruction; NULL: unknown */
    cslice__access access;
    const char *const *registers; /* what they hold */
    size_t register_count;        /* 0: unknown */
    const char *const *stack;     /* what is on it, from the innermost out; of an abort() */
    size_t stack_count;           /* 0: unknown */
} cslice__fault;

/*
 * Runs where the access was made, in the midst of any function: it may only compute, read memory
 * that no other thread frees, and call cslice__error_write. One at a time. False: the fault is
 * nothing of its.
 */
typedef bool cslice__fault_function(const cslice__fault *fault);

/*
 * From here on `function` is asked about every fault and abort() of the process first. The
 * process then ends, or does not, as it would have without it: the handler that was there before
 * gets the fault. Once a process. False: the system refuses.
 */
bool cslice__faults_watch(cslice__fault_function *function);

/* The calling thread may run `function` on a stack of its own, since its usual one may be the
 * trouble. */
void cslice__fault_stack_open(void);
void cslice__fault_stack_close(void);

/* Where the code of the C library's free() starts. NULL: unknown. */
const char *cslice__free_code(void);

/* Writes to the standard error, past every buffer. Changes no errno. */
void cslice__error_write(const char *text, size_t size);

#endif
