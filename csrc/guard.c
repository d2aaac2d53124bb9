/*
 * Guard mode: blocks that find wrong uses of memory by C, as GWP-ASan has them. A guarded block
 * has pages of its own and ends at a page that cannot be accessed. When it has ended none of its
 * pages can be, for as long as it is in the quarantine: the first access ends the process, after a
 * report of the block, with the JavaScript stacks that it was allocated and released in.
 *
 * What lies between the block and its last page boundary, and before it in its first page, is
 * padding with a pattern. A write there is found when the block ends.
 *
 * A guarded block is described by a slot of a table whose memory is never given back, so that the
 * report reads it in the midst of anything.
 */
#include "fault.h"
#include "internal.h"

#include <string.h>

/* Live and in the quarantine. Each takes two areas of the process's address space, of which Linux
 * allows 65,530; past the limit every other mmap of the process would fail. */
#define MOST_SLOTS 16384
#define MOST_LIVE 12288
/* The quarantine holds no memory but address space. */
#define MOST_QUARANTINED 4096
#define MOST_QUARANTINED_BYTES ((size_t)1 << 30) /* unless it holds a single block: of any size */

#define LEAST_ALIGNMENT ((size_t)16)
#define PATTERN 0xF8    /* glibc's free() aborts where it reads this as what malloc keeps */
#define TEXT_BYTES 2048 /* of a stack, with its NUL */
#define LABEL_BYTES 128

enum { UNUSED, LIVE, RELEASED };

struct cslice__guarded {
    atomic_int state;
    int end;     /* a cslice__end, once it is released */
    char *pages; /* all that was reserved, the inaccessible pages at both ends included */
    size_t reserved;
    char *opened; /* the pages in which the block lies */
    size_t opened_bytes;
    char *data;
    size_t size;
    cslice__guarded *next; /* unused ones, or the ones in the quarantine */
    char allocated[TEXT_BYTES], released[TEXT_BYTES], label[LABEL_BYTES];
};

static cslice__mutex mutex = CSLICE__MUTEX_INIT; /* guards all that follows, but what is atomic */
static cslice__guarded *slots;                   /* NULL: guard mode was never on */
static atomic_size_t slots_used;                 /* those before it have been in use */
static cslice__guarded *unused;
static cslice__guarded *first, *last; /* of the quarantine */
static size_t live, quarantined, quarantined_bytes;
static size_t page;
static const char *free_function; /* of the C library */

static atomic_uint every; /* one of so many blocks; 0: guard mode is off */
static atomic_uint_fast64_t reports;

/* ---- reports ---- */

/* A line of a report, in memory of the caller's: there is no allocation in a signal handler. */
typedef struct line {
    size_t length;
    char text[512];
} line;

static void flush(line *out) {
    cslice__error_write(out->text, out->length);
    out->length = 0;
}

static void put_text(line *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (out->length == sizeof out->text) flush(out);
        out->text[out->length++] = *text;
    }
}

static void put_number(line *out, uintptr_t number, unsigned base) {
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    put_text(out, &digits[at]);
}

static void put_count(line *out, uintptr_t number, const char *unit) {
    put_number(out, number, 10);
    put_text(out, " ");
    put_text(out, unit);
    if (number != 1) put_text(out, "s");
}

static void put_address(line *out, const void *address) {
    put_text(out, "0x");
    put_number(out, (uintptr_t)address, 16);
}

static void put_stack(line *out, const char *title, const char *reason, const char *stack) {
    put_text(out, title);
    put_text(out, reason);
    put_text(out, stack[0] != '\0' ? ":\n" : "; no JavaScript stack\n");
    put_text(out, stack);
    if (stack[0] != '\0') put_text(out, "\n");
}

static const char *reason_of(int end) {
    switch (end) {
    case CSLICE__BY_SCOPE: return "by release() or resize()";
    case CSLICE__BY_COLLECTION: return "after a garbage collection";
    case CSLICE__BY_THREAD_END: return "at the end of its thread";
    case CSLICE__DISOWNED: return "by disown(), which returned another address";
    default: return "by C";
    }
}

/* Where the address is, seen from the block. */
static void put_place(line *out, const cslice__guarded *block, const char *address) {
    bool is_before = address < block->data;
    put_text(out, is_before ? "at offset -" : "at offset ");
    put_number(out, (uintptr_t)(is_before ? block->data - address : address - block->data), 10);
    put_text(out,
             is_before                                  ? ", before the start of a block of "
                 : address >= block->data + block->size ? ", past the end of a block of "
                                                        : " of a block of ");
    put_count(out, block->size, "byte");
}

static void put_block(line *out, const cslice__guarded *block, bool is_released) {
    put_text(out, "  block:     ");
    put_address(out, block->data);
    put_text(out, ", ");
    put_count(out, block->size, "byte");
    if (block->label[0] != '\0') {
        put_text(out, ", label ");
        put_text(out, block->label);
    }
    put_text(out, "\n");
    put_stack(out, "  allocated", "", block->allocated);
    if (is_released) put_stack(out, "  released ", reason_of(block->end), block->released);
    flush(out);
}

/* The block in whose pages the address is. Runs in a signal handler. */
static const cslice__guarded *find(const char *address) {
    size_t used = atomic_load_explicit(&slots_used, memory_order_acquire);
    for (size_t i = 0; i < used; i++) {
        const cslice__guarded *slot = &slots[i];
        if (atomic_load_explicit(&slot->state, memory_order_acquire) != UNUSED &&
            address >= slot->pages && address < slot->pages + slot->reserved) {
            return slot;
        }
    }
    return NULL;
}

/* free() reads what malloc keeps before its memory. That is padding of ours, which no malloc has
 * written, or cannot be accessed. */
#define HEAD_BYTES (2 * sizeof(size_t))

static bool is_in_free(const char *code) {
    const size_t code_bytes = 1024;
    return free_function != NULL && code >= free_function && code < free_function + code_bytes;
}

/* The block whose start, or whose malloc's head, is among what registers or a stack hold. */
static const cslice__guarded *find_held(const char *const *held, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const cslice__guarded *block = find(held[i]);
        if (block != NULL && (held[i] == block->data || held[i] == block->data - HEAD_BYTES))
            return block;
    }
    return NULL;
}

/* The block that free() was called for. */
static const cslice__guarded *find_freed(const cslice__fault *fault) {
    for (size_t i = 0; i < fault->stack_count; i++) {
        if (!is_in_free(fault->stack[i])) continue; /* free() has called what aborts */
        const cslice__guarded *held = find_held(fault->registers, fault->register_count);
        return held != NULL ? held : find_held(fault->stack, i);
    }
    if (!is_in_free(fault->code)) return NULL;
    const cslice__guarded *block = find(fault->address);
    if (block == NULL) return find_held(fault->registers, fault->register_count);
    bool is_head = fault->address < block->data && fault->address >= block->data - HEAD_BYTES;
    return is_head ? block : NULL;
}

static bool report_fault(const cslice__fault *fault) {
    const cslice__guarded *freed = find_freed(fault);
    const cslice__guarded *block = freed != NULL ? freed : find(fault->address);
    if (block == NULL) return false;
    bool is_released = atomic_load_explicit(&block->state, memory_order_acquire) == RELEASED;
    static const char *const verbs[] = {" accessed memory ", " read ", " wrote "};
    line out = {0};
    put_text(&out, "cslice guard: ");
    put_text(&out, fault->name);
    if (freed != NULL) {
        put_text(&out,
                 is_released ? ": C called free() for a released block of "
                             : ": C called free() for a live block of ");
        put_count(&out, block->size, "byte");
        put_text(&out, ", which cslice frees");
    } else {
        put_text(&out, ": C");
        put_text(&out, verbs[fault->access]);
        put_place(&out, block, fault->address);
        if (is_released) put_text(&out, " after its release");
    }
    if (fault->address != NULL) {
        put_text(&out, "\n  address:   ");
        put_address(&out, fault->address);
    }
    put_text(&out, "\n");
    put_block(&out, block, is_released);
    atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed);
    return true;
}

static const char *changed_byte(const char *from, const char *to) {
    for (; from < to; from++) {
        if ((unsigned char)*from != PATTERN) return from;
    }
    return NULL;
}

/* Reports bytes of the padding that C has written to. */
static void check_padding(const cslice__guarded *block) {
    const char *end = block->data + block->size, *stop = block->opened + block->opened_bytes;
    const char *changed = changed_byte(end, stop);
    if (changed == NULL) {
        /* The write nearest to the block: what lies farther away may be of another one. */
        for (const char *at = block->data; at-- > block->opened && changed == NULL;) {
            if ((unsigned char)*at != PATTERN) changed = at;
        }
    }
    if (changed == NULL) return;
    line out = {0};
    put_text(&out, "cslice guard: C wrote ");
    put_place(&out, block, changed);
    put_text(&out, ", found at its release\n  address:   ");
    put_address(&out, changed);
    put_text(&out, "\n");
    put_block(&out, block, true);
    atomic_fetch_add_explicit(&reports, 1, memory_order_relaxed);
}

/* ---- slots and the quarantine ---- */

/* Under the mutex, as all from here to cslice__guard_alloc. */
static cslice__guarded *take_slot(void) {
    if (slots == NULL || live >= MOST_LIVE) return NULL;
    cslice__guarded *slot = unused;
    size_t used = atomic_load_explicit(&slots_used, memory_order_relaxed);
    if (slot != NULL) {
        unused = slot->next;
    } else if (used < MOST_SLOTS) {
        slot = &slots[used];
        atomic_store_explicit(&slots_used, used + 1, memory_order_release);
    }
    return slot;
}

static void give_slot(cslice__guarded *slot) {
    slot->next = unused;
    unused = slot;
}

static bool is_over_full(void) {
    return quarantined > MOST_QUARANTINED ||
        (quarantined_bytes > MOST_QUARANTINED_BYTES && quarantined > 1);
}

static void shrink_quarantine(void) {
    while (is_over_full()) {
        cslice__guarded *oldest = first;
        first = oldest->next;
        if (first == NULL) last = NULL;
        quarantined--;
        quarantined_bytes -= oldest->reserved;
        atomic_store_explicit(&oldest->state, UNUSED, memory_order_release);
        cslice__pages_free(oldest->pages, oldest->reserved);
        give_slot(oldest);
    }
}

static void enter_quarantine(cslice__guarded *block) {
    block->next = NULL;
    if (last != NULL) last->next = block;
    if (first == NULL) first = block;
    last = block;
    quarantined++;
    quarantined_bytes += block->reserved;
    shrink_quarantine();
}

static size_t rounded(size_t size, size_t unit) {
    return (size + unit - 1) & ~(unit - 1);
}

/* Places a block so that it ends as near to an inaccessible page as its alignment allows. */
static bool place(cslice__guarded *block, size_t size, size_t alignment) {
    if (alignment < LEAST_ALIGNMENT) alignment = LEAST_ALIGNMENT;
    size_t slack = alignment > page ? alignment : 0, whole = rounded(size == 0 ? 1 : size, page);
    block->reserved = page + slack + whole + page;
    block->pages = cslice__pages_reserve(block->reserved);
    if (block->pages == NULL) return false;
    uintptr_t start = (uintptr_t)block->pages + page;
    if (slack != 0) start = rounded(start, alignment);
    block->opened = block->pages + (start - (uintptr_t)block->pages);
    block->opened_bytes = whole;
    size_t room = rounded(size, alignment > page ? page : alignment);
    block->data = block->opened + (slack != 0 ? 0 : whole - room);
    block->size = size;
    if (cslice__pages_open(block->opened, whole)) return true;
    cslice__pages_free(block->pages, block->reserved);
    return false;
}

static void fill_padding(const cslice__guarded *block) {
    char *end = block->data + block->size, *stop = block->opened + block->opened_bytes;
    memset(block->opened, PATTERN, (size_t)(block->data - block->opened));
    memset(end, PATTERN, (size_t)(stop - end));
}

cslice__guarded *cslice__guard_alloc(size_t size, size_t alignment) {
    if (size > SIZE_MAX / 4 || alignment > SIZE_MAX / 4 || cslice__mem_must_fail()) return NULL;
    cslice__mutex_lock(&mutex);
    cslice__guarded *block = take_slot();
    if (block != NULL && !place(block, size, alignment)) {
        give_slot(block);
        block = NULL;
    }
    if (block != NULL) live++;
    cslice__mutex_unlock(&mutex);
    if (block == NULL) return NULL;
    fill_padding(block);
    block->allocated[0] = block->released[0] = block->label[0] = '\0';
    atomic_store_explicit(&block->state, LIVE, memory_order_release);
    return block;
}

void *cslice__guard_data(const cslice__guarded *block) {
    return block->data;
}

void cslice__guard_ending(cslice__guarded *block, cslice__end end) {
    block->end = end;
}

void cslice__guard_free(cslice__guarded *block) {
    check_padding(block);
    atomic_store_explicit(&block->state, RELEASED, memory_order_release);
    bool shut = cslice__pages_shut(block->opened, block->opened_bytes);
    cslice__mutex_lock(&mutex);
    live--;
    if (shut) {
        enter_quarantine(block);
    } else {
        atomic_store_explicit(&block->state, UNUSED, memory_order_release);
        cslice__pages_free(block->pages, block->reserved);
        give_slot(block);
    }
    cslice__mutex_unlock(&mutex);
}

void cslice__guard_note(cslice__guarded *block, uint32_t what, const char *text, size_t size) {
    char *const texts[] = {block->allocated, block->released, block->label};
    const size_t most[] = {TEXT_BYTES, TEXT_BYTES, LABEL_BYTES};
    if (what >= sizeof texts / sizeof *texts) return;
    size_t length = size < most[what] ? size : most[what] - 1;
    memcpy(texts[what], text, length);
    texts[what][length] = '\0';
}

/* ---- which blocks ---- */

/* xorshift: which blocks of a regular program are guarded must not be regular. */
static uint32_t next_random(uint32_t seed) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^ seed << 5;
}

bool cslice__guard_is_due(void) {
    static _Thread_local uint32_t left, seed;
    uint32_t rate = atomic_load_explicit(&every, memory_order_relaxed);
    if (rate == 0) return false;
    if (rate == 1) return true;
    if (left == 0 || left > 2 * (uint64_t)rate) { /* the first time, or the rate has changed */
        if (seed == 0) seed = (uint32_t)((uintptr_t)&seed >> 4) | 1;
        seed = next_random(seed);
        left = 1 + seed % (2 * rate - 1); /* `rate` on average */
    }
    return --left == 0;
}

static bool open_slots(void) {
    if (slots != NULL) return true;
    page = cslice__page_size();
    size_t size = rounded(MOST_SLOTS * sizeof *slots, page);
    void *pages = cslice__pages_reserve(size);
    if (pages == NULL) return false;
    if (!cslice__pages_open(pages, size) || !cslice__faults_watch(report_fault)) {
        cslice__pages_free(pages, size);
        return false;
    }
    free_function = cslice__free_code();
    slots = pages;
    return true;
}

int32_t cslice_guard_set(uint32_t rate) {
    if (rate > CSLICE_GUARD_MOST) return CSLICE_EINVAL;
    cslice__mutex_lock(&mutex);
    bool opened = rate == 0 || open_slots();
    if (opened) atomic_store_explicit(&every, rate, memory_order_relaxed);
    cslice__mutex_unlock(&mutex);
    if (!opened) return CSLICE_ENOMEM;
    if (rate != 0) cslice__fault_stack_open();
    return 0;
}

int64_t cslice_guard_rate_address(void) {
    return (int64_t)(uintptr_t)&every;
}

uint64_t cslice_guard_reports(void) {
    return atomic_load_explicit(&reports, memory_order_relaxed);
}

void cslice__guard_thread_open(void) {
    if (atomic_load_explicit(&every, memory_order_relaxed) != 0) cslice__fault_stack_open();
}

void cslice__guard_thread_close(void) {
    cslice__fault_stack_close();
}
