/* Preloaded into a process: makes every use of memory that cslice gave back visible.
 *
 * What libcslice allocates comes from a region of its own, each block on pages of its own, and no
 * page is used twice. FREED=poison overwrites a block that is given back and keeps it, so that
 * whoever reads it delivers the poison, and whoever writes it leaves a trace. FREED=unmap forbids
 * every access: a system call fails with EFAULT, and anything else ends the process with a line
 * that says so.
 *
 * Linux with glibc, whose malloc is called by its other names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

#define PAGE ((size_t)4096)
#define REGION ((size_t)1 << 38)
#define POISON 0xdd
#define MOST_FREED (1 << 20)

enum state { NEVER, LIVE, FREED };

/* What stands at the first page of a block. */
struct entry {
    uint64_t size : 56;
    uint64_t state : 8;
};

static char *region;
static struct entry *entries; /* one for each page; only those of first pages are ever touched */
static atomic_size_t used;
static int forbid;

static pthread_mutex_t freed_mutex = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static char **freed; /* the blocks that are poisoned now */
static size_t freed_count;

/* The code of the library that is watched. */
static struct {
    uintptr_t start, end;
} watched[8];
static atomic_int watched_count;

static int watches(const void *caller) {
    int count = atomic_load_explicit(&watched_count, memory_order_acquire);
    for (int i = 0; i < count; i++) {
        if ((uintptr_t)caller >= watched[i].start && (uintptr_t)caller < watched[i].end) return 1;
    }
    return 0;
}

static int ours(const void *memory) {
    return region != NULL && (const char *)memory >= region &&
        (const char *)memory < region + REGION;
}

static struct entry *entry_of(const void *memory) {
    return &entries[(size_t)((const char *)memory - region) / PAGE];
}

static void die(const char *why) {
    ssize_t ignored = write(2, why, strlen(why));
    (void)ignored;
    _exit(99);
}

static void *carve(size_t alignment, size_t size) {
    size_t pages = (size + PAGE - 1) / PAGE;
    if (pages == 0) pages = 1;
    size_t slack = alignment > PAGE ? alignment : 0;
    size_t at = atomic_fetch_add(&used, pages * PAGE + slack);
    if (size > REGION || at + pages * PAGE + slack > REGION) {
        errno = ENOMEM;
        return NULL;
    }
    if (slack != 0) at = (at + slack - 1) / slack * slack;
    char *memory = region + at;
    if (mprotect(memory, pages * PAGE, PROT_READ | PROT_WRITE) != 0) return NULL;
    struct entry *entry = entry_of(memory);
    entry->size = size;
    entry->state = LIVE;
    return memory;
}

static void retire(char *memory) {
    size_t length = (entry_of(memory)->size + PAGE - 1) / PAGE * PAGE;
    if (length == 0) length = PAGE;
    if (mprotect(memory, length, PROT_NONE) != 0) die("freed.c: mprotect failed\n");
    madvise(memory, length, MADV_DONTNEED);
}

static void give_back(char *memory) {
    struct entry *entry = entry_of(memory);
    if (entry->state != LIVE) die("freed.c: freed twice\n");
    entry->state = FREED;
    if (forbid) {
        retire(memory);
        return;
    }
    memset(memory, POISON, entry->size);
    pthread_mutex_lock(&freed_mutex); /* V8 frees on threads of its own */
    if (freed_count == MOST_FREED) die("freed.c: too many poisoned blocks\n");
    freed[freed_count++] = memory;
    pthread_mutex_unlock(&freed_mutex);
}

void *malloc(size_t size) {
    return watches(__builtin_return_address(0)) ? carve(16, size) : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    if (!watches(__builtin_return_address(0))) return __libc_calloc(count, size);
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) return NULL;
    return carve(16, whole); /* fresh pages are zero */
}

void free(void *memory) {
    if (ours(memory))
        give_back(memory);
    else
        __libc_free(memory);
}

void *realloc(void *memory, size_t size) {
    int carved = ours(memory);
    if (!carved && (memory != NULL || !watches(__builtin_return_address(0))))
        return __libc_realloc(memory, size);
    char *moved = carve(16, size);
    if (moved == NULL || !carved) return moved;
    size_t before = entry_of(memory)->size;
    memcpy(moved, memory, before < size ? before : size);
    give_back(memory);
    return moved;
}

void *memalign(size_t alignment, size_t size) {
    return watches(__builtin_return_address(0)) ? carve(alignment, size)
                                                : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return watches(__builtin_return_address(0)) ? carve(alignment, size)
                                                : __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    void *memory = watches(__builtin_return_address(0)) ? carve(alignment, size)
                                                        : __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

/* For memory that a test adopts. */
void *freed_make(size_t size) {
    return carve(16, size);
}

void freed_end(void *memory) {
    give_back(memory);
}

int freed_owns(const void *memory) {
    return ours(memory);
}

/* How many blocks were written to after they had been given back. Forbids them from here on. */
int freed_written(void) {
    int written = 0;
    pthread_mutex_lock(&freed_mutex);
    for (size_t i = 0; i < freed_count; i++) {
        const unsigned char *bytes = (const unsigned char *)freed[i];
        size_t size = entry_of(bytes)->size;
        if (size > 0 && (bytes[0] != POISON || memcmp(bytes, bytes + 1, size - 1) != 0)) written++;
        retire(freed[i]);
    }
    freed_count = 0;
    pthread_mutex_unlock(&freed_mutex);
    return written;
}

static struct sigaction before;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    if (ours(info->si_addr)) {
        void *frames[40];
        int count = backtrace(frames, 40);
        backtrace_symbols_fd(frames, count, 2);
        die("freed.c: freed memory was touched\n");
    }
    sigaction(SIGSEGV, &before, NULL); /* not ours: it happens once more */
}

static int watch(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    (void)context;
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash == NULL ? info->dlpi_name : slash + 1;
    if (strstr(name, "cslice") == NULL) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        int count = atomic_load(&watched_count);
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0 || count == 8) continue;
        watched[count].start = info->dlpi_addr + part->p_vaddr;
        watched[count].end = watched[count].start + part->p_memsz;
        atomic_store_explicit(&watched_count, count + 1, memory_order_release);
    }
    return 0;
}

/* From here on. To be called once, when the library has been loaded. Returns what it found of it.
 */
int freed_watch(void) {
    const char *how = getenv("FREED");
    forbid = how != NULL && strcmp(how, "unmap") == 0;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    region = mmap(NULL, REGION, PROT_NONE, flags, -1, 0);
    entries = mmap(NULL, REGION / PAGE * sizeof *entries, PROT_READ | PROT_WRITE, flags, -1, 0);
    freed = mmap(NULL, MOST_FREED * sizeof *freed, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (region == MAP_FAILED || entries == MAP_FAILED || freed == MAP_FAILED)
        die("freed.c: mmap failed\n");
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, &before);
    dl_iterate_phdr(watch, NULL);
    return atomic_load(&watched_count);
}
