/* A destructor of the user's runs in the thread that adopted the memory; this queue carries blocks
   there from wherever they end, and the records of those whose end the thread wants to know. */
#include "internal.h"

cslice__mailbox *cslice__mailbox_new(double *due) {
    cslice__mailbox *mailbox = cslice__mem_alloc(sizeof *mailbox, 16, true);
    if (mailbox == NULL) return NULL;
    if (!cslice__mutex_open(&mailbox->mutex)) {
        cslice__mem_free(mailbox);
        return NULL;
    }
    atomic_init(&mailbox->references, 1);
    mailbox->due = due;
    return mailbox;
}

void cslice__mailbox_ref(cslice__mailbox *mailbox) {
    atomic_fetch_add_explicit(&mailbox->references, 1, memory_order_relaxed);
}

void cslice__mailbox_unref(cslice__mailbox *mailbox) {
    if (atomic_fetch_sub_explicit(&mailbox->references, 1, memory_order_acq_rel) != 1) return;
    cslice__mutex_close(&mailbox->mutex);
    cslice__mem_free(mailbox);
}

/* JavaScript reads it without the lock, and looks again at its next operation. */
static void set_due(const cslice__mailbox *mailbox, double due) {
    if (mailbox->due != NULL) *(volatile double *)mailbox->due = due;
}

static bool is_empty(const cslice__mailbox *mailbox) {
    return mailbox->first == NULL && mailbox->first_ended == NULL;
}

bool cslice__mailbox_post(cslice__mailbox *mailbox, cslice_block *block) {
    cslice__mutex_lock(&mailbox->mutex);
    bool open = !mailbox->closed;
    if (open) {
        block->link.next = NULL;
        if (mailbox->last != NULL) {
            mailbox->last->link.next = block;
        } else {
            mailbox->first = block;
        }
        mailbox->last = block;
        set_due(mailbox, 1);
        /* Under the lock: the target lives until the mailbox is closed. */
        if (mailbox->wake != NULL) mailbox->wake(mailbox->wake_target);
    }
    cslice__mutex_unlock(&mailbox->mutex);
    return open;
}

cslice_block *cslice__mailbox_take(cslice__mailbox *mailbox) {
    cslice__mutex_lock(&mailbox->mutex);
    cslice_block *block = mailbox->first;
    if (block != NULL) {
        mailbox->first = block->link.next;
        if (mailbox->first == NULL) mailbox->last = NULL;
        block->link.cache = NULL; /* unknown from here: the thread that takes it may keep it */
    }
    if (is_empty(mailbox)) set_due(mailbox, 0);
    cslice__mutex_unlock(&mailbox->mutex);
    return block;
}

bool cslice__mailbox_post_record(cslice__mailbox *mailbox, cslice__record *record) {
    cslice__mutex_lock(&mailbox->mutex);
    bool open = !mailbox->closed;
    record->block = NULL;
    if (open) {
        bool first = mailbox->first_ended == NULL;
        record->next = NULL;
        if (first) {
            mailbox->first_ended = record;
        } else {
            mailbox->last_ended->next = record;
        }
        mailbox->last_ended = record;
        set_due(mailbox, 1);
        if (first && mailbox->wake != NULL) mailbox->wake(mailbox->wake_target);
    }
    cslice__mutex_unlock(&mailbox->mutex);
    return open;
}

cslice__record *cslice__mailbox_take_record(cslice__mailbox *mailbox) {
    cslice__mutex_lock(&mailbox->mutex);
    cslice__record *record = mailbox->first_ended;
    if (record != NULL) mailbox->first_ended = record->next;
    if (is_empty(mailbox)) set_due(mailbox, 0);
    cslice__mutex_unlock(&mailbox->mutex);
    return record;
}

uint32_t cslice__mailbox_count_references(cslice__mailbox *mailbox, const cslice__record *record) {
    cslice__mutex_lock(&mailbox->mutex);
    uint32_t count = record->block == NULL
        ? 0
        : atomic_load_explicit(&record->block->references, memory_order_relaxed);
    cslice__mutex_unlock(&mailbox->mutex);
    return count;
}

void cslice__mailbox_set_wake(cslice__mailbox *mailbox, cslice__wake_function *wake, void *target) {
    cslice__mutex_lock(&mailbox->mutex);
    mailbox->wake = wake;
    mailbox->wake_target = target;
    cslice__mutex_unlock(&mailbox->mutex);
}

void cslice__mailbox_close(cslice__mailbox *mailbox) {
    cslice__mutex_lock(&mailbox->mutex);
    mailbox->closed = true;
    mailbox->wake = NULL;
    mailbox->due = NULL;
    cslice__mutex_unlock(&mailbox->mutex);
}
