/* fault.h for Linux, macOS and other systems with POSIX signals. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* the registers in a ucontext_t, MAP_ANONYMOUS, RTLD_NEXT */
#endif
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <sys/ucontext.h>
#else
#include <ucontext.h>
#endif

#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

/* ---- pages ---- */

size_t cslice__page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *cslice__pages_reserve(size_t size) {
    int saved = errno;
    void *pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved;
    return pages == MAP_FAILED ? NULL : pages;
}

bool cslice__pages_open(void *pages, size_t size) {
    int saved = errno;
    bool opened = mprotect(pages, size, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return opened;
}

bool cslice__pages_shut(void *pages, size_t size) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    int saved = errno;
    bool shut = mmap(pages, size, PROT_NONE, flags, -1, 0) != MAP_FAILED;
    errno = saved;
    return shut;
}

void cslice__pages_free(void *pages, size_t size) {
    int saved = errno;
    munmap(pages, size);
    errno = saved;
}

/* ---- faults ---- */

/* macOS has SIGBUS for what cannot be accessed. A C library that finds a wrong free() aborts. */
static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT};
static const char *const names[] = {"SIGSEGV", "SIGBUS", "SIGABRT"};
enum { SIGNALS = sizeof signals / sizeof *signals };

static struct sigaction before[SIGNALS];
static cslice__fault_function *watcher;
static atomic_flag watching = ATOMIC_FLAG_INIT;

/* Where the registers are, and in which of them the processor tells what kind of access it was. */
static void read_registers(cslice__fault *fault, const ucontext_t *context) {
#if defined(__linux__) && defined(__x86_64__)
    fault->code = (const char *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    fault->access = context->uc_mcontext.gregs[REG_ERR] & 2 ? CSLICE__WRITTEN : CSLICE__READ;
    fault->registers = (const char *const *)(const void *)context->uc_mcontext.gregs;
    fault->register_count = REG_RIP;
#elif defined(__linux__) && defined(__aarch64__)
    fault->code = (const char *)(uintptr_t)context->uc_mcontext.pc;
    fault->registers = (const char *const *)(const void *)context->uc_mcontext.regs;
    fault->register_count = sizeof context->uc_mcontext.regs / sizeof *context->uc_mcontext.regs;
    /* Records of a magic number and a size; that of the syndrome is followed by the syndrome. */
    const unsigned char *record = (const unsigned char *)context->uc_mcontext.__reserved;
    for (size_t left = sizeof context->uc_mcontext.__reserved; left >= 16;) {
        const uint32_t *head = (const uint32_t *)(const void *)record;
        if (head[0] == 0 || head[1] < 8 || head[1] > left) break;
        if (head[0] == 0x45535201) {
            fault->access =
                *(const uint64_t *)(const void *)(record + 8) & 64 ? CSLICE__WRITTEN : CSLICE__READ;
            break;
        }
        left -= head[1];
        record += head[1];
    }
#elif defined(__APPLE__) && defined(__x86_64__)
    fault->code = (const char *)(uintptr_t)context->uc_mcontext->__ss.__rip;
    fault->access = context->uc_mcontext->__es.__err & 2 ? CSLICE__WRITTEN : CSLICE__READ;
#elif defined(__APPLE__) && defined(__aarch64__)
    fault->code =
        (const char *)(uintptr_t)__darwin_arm_thread_state64_get_pc(context->uc_mcontext->__ss);
    fault->access = context->uc_mcontext->__es.__esr & 64 ? CSLICE__WRITTEN : CSLICE__READ;
#else
    (void)fault;
    (void)context;
#endif
}

/* The system copies it, since nobody knows where a stack ends. */
static void read_stack(cslice__fault *fault, const ucontext_t *context) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
    enum { PARTS = 16, PART_BYTES = 256 };
    static const char *words[PARTS * PART_BYTES / sizeof(char *)];
#if defined(__x86_64__)
    char *innermost = (char *)(uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#else
    char *innermost = (char *)(uintptr_t)context->uc_mcontext.sp;
#endif
    struct iovec to = {words, sizeof words}, from[PARTS]; /* the parts that there are */
    for (int i = 0; i < PARTS; i++)
        from[i] = (struct iovec){innermost + i * PART_BYTES, PART_BYTES};
    ssize_t copied = process_vm_readv(getpid(), &to, 1, from, PARTS, 0);
    fault->stack = words;
    fault->stack_count = copied < 0 ? 0 : (size_t)copied / sizeof *words;
#else
    (void)fault;
    (void)context;
#endif
}

static bool ask_watcher(int which, const siginfo_t *info, const void *context) {
    static atomic_flag asked = ATOMIC_FLAG_INIT;
    bool aborted = signals[which] == SIGABRT;
    cslice__fault fault = {.name = names[which], .address = aborted ? NULL : info->si_addr};
    read_registers(&fault, context);
    while (atomic_flag_test_and_set(&asked)) { /* another thread's process ends in a moment */
        const struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
    }
    if (aborted) read_stack(&fault, context);
    bool known = watcher(&fault);
    atomic_flag_clear(&asked);
    return known;
}

/* Hands the signal to the handler that was there before, which may return. */
static void pass_on(int which, siginfo_t *info, void *context, bool sent) {
    const struct sigaction *previous = &before[which];
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signals[which], info, context);
    } else if (previous->sa_handler == SIG_IGN && sent) {
        return;
    } else if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
        sigaction(signals[which], previous, NULL); /* on return the access is made again */
        if (sent) raise(signals[which]);
    } else {
        previous->sa_handler(signals[which]);
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    int saved = errno, which = 0;
    while (signals[which] != number) which++;
    bool sent = info->si_code <= 0; /* by kill(), as abort() does: there is no address */
    bool known = (!sent || number == SIGABRT) && ask_watcher(which, info, context);
    if (known && !sent) {
        /* On return the access is made again, and meets what was there before. */
        sigaction(number, &before[which], NULL);
    } else {
        pass_on(which, info, context, sent);
    }
    errno = saved;
}

bool cslice__faults_watch(cslice__fault_function *function) {
    if (atomic_flag_test_and_set(&watching)) return true;
    watcher = function;
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action = {0};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        /* The old one first: a fault between the two calls would find none. */
        if (sigaction(signals[i], NULL, &before[i]) != 0 ||
            sigaction(signals[i], &action, NULL) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- stacks ---- */

#define STACK_BYTES ((size_t)64 << 10)

static _Thread_local void *stack;

void cslice__fault_stack_open(void) {
    stack_t current;
    if (stack != NULL || sigaltstack(NULL, &current) != 0 || !(current.ss_flags & SS_DISABLE))
        return; /* the thread has one */
    void *pages = cslice__pages_reserve(STACK_BYTES);
    if (pages == NULL) return; /* the usual stack serves */
    stack_t own = {0};
    own.ss_sp = pages;
    own.ss_size = STACK_BYTES;
    if (cslice__pages_open(pages, STACK_BYTES) && sigaltstack(&own, NULL) == 0) {
        stack = pages;
    } else {
        cslice__pages_free(pages, STACK_BYTES);
    }
}

void cslice__fault_stack_close(void) {
    if (stack == NULL) return;
    stack_t current;
    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == stack) {
        stack_t none = {0};
        none.ss_flags = SS_DISABLE;
        sigaltstack(&none, NULL);
    }
    cslice__pages_free(stack, STACK_BYTES);
    stack = NULL;
}

/* Asked of the library that has it: its address here, or in the executable, may be that of a jump to
 * it. A library without a list of those that it needs, as the packed one is, has no next one. */
const char *cslice__free_code(void) {
    void *relative = dlsym(RTLD_DEFAULT, "malloc_usable_size"); /* which no executable jumps to */
    Dl_info info;
    if (relative != NULL && dladdr(relative, &info) != 0) {
        void *library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD); /* stays, as it does */
        void *code = library == NULL ? NULL : dlsym(library, "free");
        if (code != NULL) return code;
    }
    return dlsym(RTLD_NEXT, "free");
}

#define MOST_WAIT_MS 1000

void cslice__error_write(const char *text, size_t size) {
    int saved = errno;
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN) { /* nobody reads: a handler must not wait for ever */
            struct pollfd room = {STDERR_FILENO, POLLOUT, 0};
            if (poll(&room, 1, MOST_WAIT_MS) == 1) continue;
        }
        if (written <= 0) break;
        text += written;
        size -= (size_t)written;
    }
    errno = saved;
}
