#include "support.h"

#include <errno.h>
#include <string.h>

static char byte;

static void test_new(void) {
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4096, (size_t)1 << 20, ((size_t)32 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cslice_statistics before = counts();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(sizes[i], &block), 0);
        unsigned char *data = cslice_block_data(block);
        CHECK(data != NULL && (uintptr_t)data % 16 == 0);
        CHECK_EQUAL(cslice_block_size(block), sizes[i]);
        CHECK(all_zero(data, sizes[i]));
        memset(data, 1, sizes[i]);
        CHECK_EQUAL(counts().live_bytes, before.live_bytes + sizes[i]);
        CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
        cslice_block_unref(block);
        CHECK_EQUAL(counts().released_by_c, before.released_by_c + 1);
    }
    check_nothing_live();
}

static void test_new_too_large(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                   PTRDIFF_MAX - 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cslice_statistics before = counts();
        cslice_block *block = (cslice_block *)&byte;
        CHECK_EQUAL(cslice_block_new(sizes[i], &block), CSLICE_ENOMEM);
        CHECK(block == (cslice_block *)&byte);
        CHECK_COUNTS_KEPT(before);
    }
}

static int64_t new_one(void *block) {
    return cslice_block_new(100, block);
}

static int64_t adopt_one(void *block) {
    return cslice_block_adopt(&byte, 1, end_free, NULL, block);
}

static int64_t adopt_callback_one(void *block) {
    static cslice__mailbox *mailbox;
    if (mailbox == NULL && (mailbox = cslice__mailbox_new(NULL)) == NULL) return CSLICE_ENOMEM;
    int status = cslice__block_adopt(CSLICE__CALLBACK, &byte, 1, 1, NULL, mailbox, block);
    CHECK_EQUAL(atomic_load(&mailbox->references), status == 0 ? 2 : 1);
    if (status != 0) return status;
    cslice__mailbox_unref(mailbox);
    mailbox = NULL;
    return 0;
}

static int64_t aligned_one(void *block) {
    return cslice__block_alloc(40, 4096, true, block);
}

static void test_failed_allocations(void) {
    static const struct {
        attempt_function *attempt;
        int allocations;
    } cases[] = {{new_one, 2}, {aligned_one, 2}, {adopt_one, 1}, {adopt_callback_one, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(fail_each_allocation(cases[i].attempt, &block, NULL), cases[i].allocations);
        CHECK_EQUAL(ended.times, 0);
        CHECK(block != NULL);
        if (block->mailbox != NULL) cslice__mailbox_close(block->mailbox);
        cslice_block_unref(block);
    }
    check_nothing_live();
}

static void test_alignment(void) {
    static const size_t alignments[] = {1, 2, 4, 8, 16, 32, 64, 4096, (size_t)2 << 20};
    static const size_t sizes[] = {0, 1, 100, 5000};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            for (int zero = 0; zero < 2; zero++) {
                cslice_block *block = new_aligned_block(sizes[j], alignments[i], zero != 0);
                void *data = cslice_block_data(block);
                CHECK_EQUAL((uintptr_t)data % alignments[i], 0);
                CHECK(zero == 0 || all_zero(data, sizes[j]));
                memset(data, 0x5a, sizes[j]);
                cslice_block_unref(block);
            }
        }
    }
    check_nothing_live();
}

static void test_alloc_refused(void) {
    static const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                   PTRDIFF_MAX - 4096};
    cslice_statistics before = counts();
    cslice_block *block = NULL;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_EQUAL(cslice__block_alloc(sizes[i], 1, false, &block), CSLICE_ENOMEM);
        CHECK_EQUAL(cslice__block_alloc(sizes[i], 4096, true, &block), CSLICE_ENOMEM);
    }
    if (!under_valgrind())
        CHECK_EQUAL(cslice__block_alloc(8, (size_t)1 << 62, true, &block), CSLICE_ENOMEM);
    CHECK(block == NULL);
    CHECK_COUNTS_KEPT(before);
}

static void test_adopt(void) {
    int context;
    static const size_t sizes[] = {0, 1, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_adopt(&byte, sizes[i], end_free, &context, &block), 0);
        CHECK(cslice_block_data(block) == &byte);
        CHECK_EQUAL(cslice_block_size(block), sizes[i]);
        CHECK_EQUAL(counts().live_bytes, sizes[i]);
        CHECK_EQUAL(ended.times, 0);
        cslice_block_unref(block);
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == &byte && ended.size == sizes[i] && ended.context == &context);
    }
    check_nothing_live();
}

static void test_adopt_without_function(void) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, NULL, NULL, &block), 0);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_adopt(NULL, 0, NULL, NULL, &block), 0);
    CHECK(cslice_block_data(block) == NULL);
    cslice_block_unref(block);
    check_nothing_live();
}

/* Nothing is that large, and the sum of live bytes would wrap. */
static void test_adopt_refused(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 50, (size_t)PTRDIFF_MAX + 1};
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = NULL;
    cslice_statistics before = counts();
    ended_reset();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_EQUAL(cslice_block_adopt(&byte, sizes[i], end_free, NULL, &block), CSLICE_EINVAL);
        CHECK_EQUAL(
            cslice__block_adopt(CSLICE__CALLBACK, &byte, sizes[i], 1, NULL, mailbox, &block),
            CSLICE_EINVAL);
    }
    CHECK(block == NULL);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    CHECK_COUNTS_KEPT(before);
    cslice__due_end(mailbox);
}

static void test_references(void) {
    ended_reset();
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, end_free, NULL, &block), 0);
    for (int i = 0; i < 1000; i++) CHECK(cslice_block_ref(block) == block);
    for (int i = 0; i < 1000; i++) cslice_block_unref(block);
    CHECK_EQUAL(ended.times, 0);
    CHECK_EQUAL(counts().live_blocks, 1);
    cslice_block_unref(block);
    CHECK_EQUAL(ended.times, 1);
    cslice_block_unref(NULL);
    check_nothing_live();
}

static void test_native_signatures(void) {
    for (size_t i = 0; i < NATIVE_SIGNATURES; i++) {
        const native_signature *signature = &native_signatures[i];
        int context;
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice__block_adopt(signature->kind, &byte, 7, (uintptr_t)signature->function,
                                        &context, NULL, &block),
                    0);
        cslice_block_unref(block);
        CHECK_EQUAL(ended.times, 1);
        CHECK(ended.data == &byte);
        CHECK_EQUAL(ended.size, signature->size ? 7 : 0);
        CHECK(ended.context == (signature->context ? &context : NULL));
    }
    check_nothing_live();
}

static void test_signatures_have_kinds(void) {
    static const struct {
        uint32_t signature;
        cslice__kind kind;
    } cases[] = {
        {CSLICE_SIGNATURE_PTR, CSLICE__PTR},
        {CSLICE_SIGNATURE_PTR_SIZE, CSLICE__PTR_SIZE},
        {CSLICE_SIGNATURE_CTX_PTR, CSLICE__CTX_PTR},
    };
    cslice__kind kind = CSLICE__GONE;
    CHECK_EQUAL(cslice__block_kind_of(CSLICE_SIGNATURE_CTX_PTR + 1, &kind), CSLICE_EINVAL);
    CHECK_EQUAL(cslice__block_kind_of(UINT32_MAX, &kind), CSLICE_EINVAL);
    CHECK_EQUAL(kind, CSLICE__GONE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQUAL(cslice__block_kind_of(cases[i].signature, &kind), 0);
        CHECK_EQUAL(kind, cases[i].kind);
    }
}

static void test_reasons(void) {
    cslice_statistics before = counts();
    for (int reason = 0; reason < CSLICE__DISOWNED; reason++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(1, &block), 0);
        cslice_block_ref(block);
        cslice__block_unref(block, CSLICE__BY_C);
        CHECK_EQUAL(counts().live_blocks, before.live_blocks + 1);
        cslice__block_unref(block, (cslice__end)reason);
    }
    cslice_statistics after = counts();
    CHECK_EQUAL(after.released_by_scope, before.released_by_scope + 1);
    CHECK_EQUAL(after.released_by_collection, before.released_by_collection + 1);
    CHECK_EQUAL(after.released_by_thread_end, before.released_by_thread_end + 1);
    CHECK_EQUAL(after.released_by_c, before.released_by_c + 1);
    CHECK_EQUAL(after.allocated_blocks, before.allocated_blocks + CSLICE__DISOWNED);
    check_nothing_live();
}

static void test_limit(void) {
    cslice_block *first = NULL, *second = NULL, *adopted = NULL;
    cslice_limit_set(1000);
    CHECK_EQUAL(cslice_block_new(600, &first), 0);
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice_block_new(401, &second), CSLICE_ELIMIT);
    CHECK(second == NULL);
    CHECK_COUNTS_KEPT(before);
    CHECK_EQUAL(cslice_block_new(400, &second), 0);
    CHECK_EQUAL(cslice_block_adopt(&byte, 5000, NULL, NULL, &adopted),
                0); /* memory that exists anyway */
    CHECK_EQUAL(counts().live_bytes, 6000);
    cslice_block_unref(second);
    CHECK_EQUAL(cslice_block_new(1, &second), CSLICE_ELIMIT);
    cslice_limit_set(0);
    CHECK_EQUAL(cslice_block_new(1, &second), 0);
    cslice_block_unref(first);
    cslice_block_unref(second);
    cslice_block_unref(adopted);
    check_nothing_live();
}

/* A refused block must not count against the blocks after it. */
static void test_limit_after_failures(void) {
    cslice_limit_set(100);
    for (int i = 0; i < 100; i++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_new(101, &block), CSLICE_ELIMIT);
        cslice_test_fail_allocation((uint64_t)i % 2 + 1);
        CHECK_EQUAL(cslice_block_new(100, &block), CSLICE_ENOMEM);
        cslice_test_fail_allocation(0);
        CHECK_EQUAL(cslice_block_new(100, &block), 0);
        cslice_block_unref(block);
    }
    cslice_limit_set(0);
    check_nothing_live();
}

static void test_peak(void) {
    uint64_t high = counts().peak_bytes + 1000;
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_new((size_t)high, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_new(1, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_block_adopt(&byte, (size_t)high + 1, NULL, NULL, &block), 0);
    CHECK_EQUAL(counts().peak_bytes, high + 1);
    cslice_block_unref(block);
}

static void test_disown(void) {
    ended_reset();
    cslice_statistics before = counts();
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 10, end_free, NULL, &block), 0);
    cslice_block_ref(block);
    CHECK(!cslice__block_is_disownable(block));
    cslice_block_unref(block);
    CHECK(cslice__block_is_disownable(block));
    CHECK_EQUAL(cslice__block_disown(block, NULL), 0);
    CHECK(!cslice__block_is_disownable(block));
    CHECK_EQUAL(counts().disowned_blocks, before.disowned_blocks + 1);
    check_nothing_live();
    cslice_block_unref(block);
    CHECK_EQUAL(ended.times, 0);
}

/* The buffer that is still over the bytes holds a reference, and who asked for it looks at the
 * header. */
static void test_disowned_header_stays(void) {
    for (int reason = 0; reason <= CSLICE__BY_C; reason++) {
        ended_reset();
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_adopt(&byte, 10, end_free, NULL, &block), 0);
        CHECK_EQUAL(cslice__block_disown(block, NULL), 0);
        cslice_statistics before = counts();
        CHECK(cslice_block_data(block) == &byte && cslice_block_size(block) == 10);
        cslice_block_ref(block);
        CHECK_EQUAL(cslice__block_resize(block, 5), CSLICE_EINVAL);
        CHECK(!cslice__block_is_renewable(block) && cslice__block_is_ours(block));
        cslice__block_unref(block, (cslice__end)reason);
        CHECK(cslice_block_data(block) == &byte);
        cslice__block_unref(block, (cslice__end)reason);
        CHECK_EQUAL(ended.times, 0);
        CHECK_COUNTS_KEPT(before);
    }
}

static void test_disown_callback(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_statistics before = counts();
    cslice_block *block = new_callback_block(mailbox, 7);
    CHECK_EQUAL(atomic_load(&mailbox->references), 2);
    CHECK_EQUAL(cslice__block_disown(block, NULL), 7);
    CHECK_EQUAL(atomic_load(&mailbox->references), 1);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_due_next(ADDRESS(mailbox)), 0);
    cslice__due_end(mailbox);
    CHECK_EQUAL(counts().lost_destructors, before.lost_destructors);
    check_nothing_live();
}

static void test_disowned_memory_is_malloced(void) {
    static const size_t alignments[] = {1, 16, 4096};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        for (size_t size = 10; size <= 1000; size += 990) {
            cslice_block *block = new_aligned_block(10, alignments[i], true);
            CHECK(cslice__block_resize(block, size) > 0);
            CHECK_EQUAL(cslice__block_disown(block, NULL), 0);
            free(cslice_block_data(block));
            cslice_block_unref(block);
        }
    }
    check_nothing_live();
}

static void check_clone(const cslice_block *source, size_t size) {
    cslice_block *clone = NULL;
    size_t kept = size < source->size ? size : source->size;
    uint64_t live = counts().live_bytes;
    CHECK_EQUAL(cslice__block_clone(source, size, &clone), 0);
    unsigned char *data = cslice_block_data(clone);
    CHECK(data != source->data && clone->size == size);
    CHECK(memcmp(data, source->data, kept) == 0 && all_zero(data + kept, size - kept));
    CHECK_EQUAL((uintptr_t)data % source->destructor.alignment, 0);
    CHECK_EQUAL(counts().live_bytes, live + size);
    memset(data, 0x11, size);
    CHECK(cslice__block_resize(clone, size + 100) > 0);
    CHECK_EQUAL((uintptr_t)clone->data % source->destructor.alignment, 0);
    cslice_block_unref(clone);
}

static void test_clone(void) {
    static const size_t sizes[] = {0, 1, 10, 11, 1000, 5000, (size_t)3 << 20};
    for (size_t alignment = 1; alignment <= 4096; alignment *= 16) {
        for (size_t own = 0; own <= 10; own += 10) {
            cslice_block *source = new_aligned_block(own, alignment, false);
            memset(source->data, 0x5a, own);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_clone(source, sizes[i]);
            for (size_t i = 0; i < own; i++) CHECK_EQUAL(((unsigned char *)source->data)[i], 0x5a);
            cslice_block_unref(source);
        }
    }
    check_nothing_live();
}

static int64_t clone_attempt(void *pair) {
    return cslice__block_clone(((cslice_block **)pair)[0], 5000, &((cslice_block **)pair)[1]);
}

static void test_clone_refused(void) {
    cslice_block *source = new_block(10), *clone = NULL;
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice__block_clone(source, SIZE_MAX, &clone), CSLICE_ENOMEM);
    CHECK_EQUAL(cslice__block_clone(source, PTRDIFF_MAX, &clone), CSLICE_ENOMEM);
    cslice_limit_set(20);
    CHECK_EQUAL(cslice__block_clone(source, 11, &clone), CSLICE_ELIMIT);
    CHECK(clone == NULL);
    CHECK_COUNTS_KEPT(before);
    CHECK_EQUAL(cslice__block_clone(source, 10, &clone), 0);
    cslice_limit_set(0);
    cslice_block_unref(clone);
    cslice_block *pair[] = {source, NULL};
    CHECK_EQUAL(fail_each_allocation(clone_attempt, pair, NULL), 2);
    cslice_block_unref(pair[1]);
    cslice_block_unref(source);
    check_nothing_live();
}

static unsigned char *resize(cslice_block *block, size_t size) {
    int64_t address = cslice__block_resize(block, size);
    CHECK(address > 0);
    CHECK(cslice_block_data(block) == (void *)(uintptr_t)address);
    CHECK_EQUAL(cslice_block_size(block), size);
    return (unsigned char *)(uintptr_t)address;
}

static void test_resize(void) {
    static const size_t alignments[] = {16, 64, 4096};
    static const size_t sizes[] = {1, 100, 0, 5000, 17, (size_t)3 << 20, 8};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        size_t size = 10;
        cslice_block *block = new_aligned_block(size, alignments[i], false);
        memset(block->data, 0x5a, size);
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            unsigned char *data = resize(block, sizes[j]);
            size_t kept = size < sizes[j] ? size : sizes[j];
            CHECK_EQUAL((uintptr_t)data % alignments[i], 0);
            for (size_t k = 0; k < kept; k++) CHECK_EQUAL(data[k], 0x5a);
            CHECK(all_zero(data + kept, sizes[j] - kept));
            memset(data, 0x5a, sizes[j]);
            size = sizes[j];
            CHECK_EQUAL(counts().live_bytes, size);
            CHECK_EQUAL(counts().live_blocks, 1);
            check_invariant();
        }
        cslice_block_unref(block);
    }
    check_nothing_live();
}

static void test_resize_refused(void) {
    static const size_t huge[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                  PTRDIFF_MAX - 4096};
    for (size_t alignment = 16; alignment <= 4096; alignment *= 256) {
        cslice_block *block = new_aligned_block(10, alignment, true);
        void *data = cslice_block_data(block);
        cslice_statistics before = counts();
        for (size_t i = 0; i < 4; i++)
            CHECK_EQUAL(cslice__block_resize(block, huge[i]), CSLICE_ENOMEM);
        cslice_block_ref(block);
        for (size_t size = 0; size < 100; size += 10)
            CHECK_EQUAL(cslice__block_resize(block, size), CSLICE_EINVAL);
        cslice_block_unref(block);
        cslice_limit_set(20);
        CHECK_EQUAL(cslice__block_resize(block, 21), CSLICE_ELIMIT);
        CHECK_COUNTS_KEPT(before);
        CHECK(cslice_block_data(block) == data && cslice_block_size(block) == 10);
        resize(block, 20);
        resize(block, 2); /* never refused, whatever the limit */
        cslice_limit_set(1);
        resize(block, 1);
        cslice_limit_set(0);
        cslice_block_unref(block);
    }
    cslice_block *adopted = NULL;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, NULL, NULL, &adopted), 0);
    CHECK_EQUAL(cslice__block_resize(adopted, 1), CSLICE_EINVAL);
    cslice_block_unref(adopted);
    check_nothing_live();
}

static int64_t resize_attempt(void *block) {
    return cslice__block_resize(block, 5000);
}

static void test_resize_fails(void) {
    for (size_t alignment = 16; alignment <= 4096; alignment *= 256) {
        cslice_block *block = new_aligned_block(10, alignment, true);
        memset(block->data, 1, 10);
        CHECK_EQUAL(fail_each_allocation(resize_attempt, block, NULL), 1);
        CHECK_EQUAL(*(char *)block->data, 1);
        errno = EDOM;
        resize(block, (size_t)64 << 20);
        CHECK_EQUAL(errno, EDOM);
        cslice_block_unref(block);
    }
    check_nothing_live();
}

static double address_of(const cslice_block *block) {
    return (double)(uintptr_t)block;
}

static void test_renew(void) {
    cslice_block *blocks[] = {new_block(64), new_block(1), new_block(0),
                              new_aligned_block(100, 4096, true)};
    double addresses[4];
    for (int i = 0; i < 4; i++) {
        addresses[i] = address_of(blocks[i]);
        memset(blocks[i]->data, 1, blocks[i]->size);
    }
    cslice_statistics before = counts();
    CHECK_EQUAL(cslice_blocks_renew(addresses, 4), 0);
    CHECK_EQUAL(cslice_blocks_renew(NULL, 0), 0);
    for (int i = 0; i < 4; i++) CHECK(all_zero(blocks[i]->data, blocks[i]->size));
    CHECK_COUNTS_KEPT(before);
    for (int i = 0; i < 4; i++) cslice_block_unref(blocks[i]);
    check_nothing_live();
}

/* All or nothing: a block that somebody else sees must not change, nor one before it. */
static void test_renew_refuses(void) {
    static char foreign = 1;
    cslice_block *own = new_block(8), *shared = cslice_block_ref(new_block(8)), *adopted = NULL,
                 *gone = new_block(8);
    CHECK_EQUAL(cslice_block_adopt(&foreign, 1, NULL, NULL, &adopted), 0);
    memset(own->data, 1, 8);
    memset(shared->data, 1, 8);
    memset(gone->data, 1, 8);
    CHECK_EQUAL(cslice__block_disown(gone, NULL), 0);
    const cslice_block *refused[] = {shared, adopted, gone};
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(cslice_blocks_renew((double[]){address_of(own), address_of(refused[i])}, 2),
                    CSLICE_EINVAL);
        CHECK_EQUAL(cslice_blocks_renew((double[]){address_of(refused[i]), address_of(own)}, 2),
                    CSLICE_EINVAL);
        CHECK(!all_zero(own->data, 8) && !all_zero(refused[i]->data, refused[i]->size));
    }
    cslice_block_unref(shared);
    CHECK_EQUAL(cslice_blocks_renew((double[]){address_of(own), address_of(shared)}, 2), 0);
    CHECK(all_zero(own->data, 8) && all_zero(shared->data, 8));
    free(gone->data);
    cslice_block *all[] = {own, shared, adopted, gone};
    for (int i = 0; i < 4; i++) cslice_block_unref(all[i]);
    check_nothing_live();
}

static void test_give_back(void) {
    cslice_statistics before = counts();
    ended_reset();
    cslice_test_fail_allocation(
        1); /* it is for memory that could not be adopted, so it must not need any */
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), CSLICE_SIGNATURE_PTR, 0);
    CHECK(ended.times == 1 && ended.data == &byte);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr_size), CSLICE_SIGNATURE_PTR_SIZE, 0);
    CHECK(ended.times == 2 && ended.size == 7);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ctx_ptr), CSLICE_SIGNATURE_CTX_PTR, 55);
    CHECK(ended.times == 3 && (uintptr_t)ended.context == 55);
    cslice_test_fail_allocation(0);
    cslice_give_back(ADDRESS(&byte), 7, 0, CSLICE_SIGNATURE_PTR, 0);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), CSLICE_SIGNATURE_CTX_PTR + 1, 0);
    cslice_give_back(ADDRESS(&byte), 7, FUNCTION(end_ptr), UINT32_MAX, 0);
    CHECK_EQUAL(ended.times, 3);
    CHECK_COUNTS_KEPT(before);
}

static void test_is_ours(void) {
    cslice_block *block = new_block(1), foreign = {.home = &foreign};
    CHECK(cslice__block_is_ours(block));
    CHECK(!cslice__block_is_ours(&foreign));
    cslice_unref(ADDRESS(block));
    cslice_unref(0);
    check_nothing_live();
}

/* Without a mailbox the destructor runs in the thread that drops the last reference. */
static void *drop_in_thread(void *block) {
    cslice__block_unref(block, cslice__thread_end_reason());
    return NULL;
}

static void test_destructor_of_any_thread(void) {
    cslice_block *block = NULL;
    pthread_t thread;
    ended_reset();
    CHECK_EQUAL(cslice__block_adopt(CSLICE__PTR, &byte, 1, (uintptr_t)end_ptr, NULL, NULL, &block),
                0);
    CHECK_EQUAL(pthread_create(&thread, NULL, drop_in_thread, block), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(ended.times, 1);
    check_nothing_live();
}

static void set_errno(void *data, size_t size, void *context) {
    (void)data, (void)size, (void)context;
    errno = EIO;
}

static void test_errno_kept(void) {
    cslice_block *block = NULL;
    errno = EDOM;
    CHECK_EQUAL(cslice_block_adopt(&byte, 1, set_errno, NULL, &block), 0);
    cslice_block_unref(cslice_block_ref(block));
    cslice_block_unref(block);
    CHECK_EQUAL(errno, EDOM);
    CHECK_EQUAL(cslice_block_new((size_t)64 << 20, &block), 0);
    cslice_block_unref(block);
    (void)counts();
    CHECK_EQUAL(errno, EDOM);
}

/* Ends the block that the context names, and makes and ends another. */
static void end_another(void *data, size_t size, void *context) {
    cslice_block *made = NULL;
    CHECK_EQUAL(cslice_block_new(64, &made), 0);
    cslice_block_unref(made);
    cslice_block_unref(context);
    end_free(data, size, context);
}

static void test_destructor_calls_back(void) {
    ended_reset();
    cslice_block *chain = NULL;
    for (int i = 0; i < 100; i++) {
        cslice_block *block = NULL;
        CHECK_EQUAL(cslice_block_adopt(&byte, 1, end_another, chain, &block), 0);
        chain = block;
    }
    cslice_block_unref(chain);
    CHECK_EQUAL(ended.times, 100);
    check_nothing_live();
}

int main(void) {
    test_new();
    test_new_too_large();
    test_failed_allocations();
    test_alignment();
    test_alloc_refused();
    test_adopt();
    test_adopt_without_function();
    test_adopt_refused();
    test_references();
    test_native_signatures();
    test_signatures_have_kinds();
    test_reasons();
    test_limit();
    test_limit_after_failures();
    test_peak();
    test_disown();
    test_disowned_header_stays();
    test_disown_callback();
    test_disowned_memory_is_malloced();
    test_clone();
    test_clone_refused();
    test_resize();
    test_resize_refused();
    test_resize_fails();
    test_renew();
    test_renew_refuses();
    test_give_back();
    test_is_ours();
    test_destructor_of_any_thread();
    test_errno_kept();
    test_destructor_calls_back();
    check_nothing_live();
    return 0;
}
