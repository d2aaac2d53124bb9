/*
 * Tells JavaScript that a block has ended, and why. V8 ends most blocks on a thread of its own and
 * in the midst of a collection, where no JavaScript can run; so the end is posted to the mailbox of
 * the thread that asked. All memory that this takes is allocated with the record: the end cannot
 * fail.
 *
 * The record stands in the place of the block's context and has that in itself. So a block has no
 * field for this, and a block that nobody has recorded costs one look at a flag.
 */
#include "internal.h"

int64_t cslice_record_new(uint64_t block, uint64_t mailbox) {
    cslice_block *of = (cslice_block *)(uintptr_t)block;
    cslice__record *record = cslice__mem_alloc(sizeof *record, 16, false);
    if (record == NULL) return CSLICE_ENOMEM;
    *record = (cslice__record){
        .mailbox = (cslice__mailbox *)(uintptr_t)mailbox, .block = of, .context = of->context};
    if (atomic_exchange_explicit(&of->recorded, true, memory_order_relaxed)) {
        cslice__mem_free(record);
        return CSLICE_EINVAL;
    }
    cslice__mailbox_ref(record->mailbox);
    of->context = record;
    return (int64_t)(uintptr_t)record;
}

int64_t cslice_record_of(uint64_t block) {
    const cslice_block *of = (const cslice_block *)(uintptr_t)block;
    bool recorded = atomic_load_explicit(&of->recorded, memory_order_relaxed);
    return recorded ? (int64_t)(uintptr_t)of->context : 0;
}

int64_t cslice_record_references(uint64_t record) {
    const cslice__record *of = (const cslice__record *)(uintptr_t)record;
    return cslice__mailbox_count_references(of->mailbox, of);
}

int64_t cslice_record_next(uint64_t mailbox) {
    if (mailbox == 0) return 0;
    cslice__mailbox *from = (cslice__mailbox *)(uintptr_t)mailbox;
    cslice__record *record = cslice__mailbox_take_record(from);
    if (record == NULL) return 0;
    int64_t told = (int64_t)(uintptr_t)record * CSLICE_RECORD_ENDS + (int64_t)record->end;
    cslice__mem_free(record);
    cslice__mailbox_unref(from);
    return told;
}

void *cslice__record_ended(cslice__record *record, cslice__end end) {
    void *context = record->context;
    cslice__mailbox *mailbox = record->mailbox;
    record->end = end;
    if (!cslice__mailbox_post_record(mailbox, record)) { /* nobody will read it */
        cslice__mem_free(record);
        cslice__mailbox_unref(mailbox);
    }
    return context;
}

void cslice__record_close(cslice__mailbox *mailbox) {
    for (cslice__record *record; (record = cslice__mailbox_take_record(mailbox)) != NULL;) {
        cslice__mem_free(record);
        cslice__mailbox_unref(mailbox);
    }
}
