/* JavaScript destructors run on their own thread only; this queue carries blocks there from wherever they end. */
#include "internal.h"

cslice__mailbox *cslice__mailbox_new(void) {
    cslice__mailbox *mailbox = cslice__mem_alloc(sizeof *mailbox, 16, true);
    if (mailbox == NULL) return NULL;
    if (pthread_mutex_init(&mailbox->mutex, NULL) != 0) {
        cslice__mem_free(mailbox);
        return NULL;
    }
    atomic_init(&mailbox->references, 1);
    return mailbox;
}

void cslice__mailbox_ref(cslice__mailbox *mailbox) {
    atomic_fetch_add_explicit(&mailbox->references, 1, memory_order_relaxed);
}

void cslice__mailbox_unref(cslice__mailbox *mailbox) {
    if (atomic_fetch_sub_explicit(&mailbox->references, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&mailbox->mutex);
    cslice__mem_free(mailbox);
}

bool cslice__mailbox_post(cslice__mailbox *mailbox, cslice_block *block) {
    pthread_mutex_lock(&mailbox->mutex);
    bool open = !mailbox->closed;
    if (open) {
        block->with.next = NULL;
        if (mailbox->last != NULL) {
            mailbox->last->with.next = block;
        } else {
            mailbox->first = block;
        }
        mailbox->last = block;
        /* Under the lock: the target lives until the mailbox is closed. */
        if (mailbox->wake != NULL) mailbox->wake(mailbox->wake_target);
    }
    pthread_mutex_unlock(&mailbox->mutex);
    return open;
}

cslice_block *cslice__mailbox_take(cslice__mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->mutex);
    cslice_block *block = mailbox->first;
    if (block != NULL) {
        mailbox->first = block->with.next;
        if (mailbox->first == NULL) mailbox->last = NULL;
    }
    pthread_mutex_unlock(&mailbox->mutex);
    return block;
}

void cslice__mailbox_set_wake(cslice__mailbox *mailbox, cslice__wake_function *wake, void *target) {
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->wake = wake;
    mailbox->wake_target = target;
    pthread_mutex_unlock(&mailbox->mutex);
}

uint64_t cslice__mailbox_close(cslice__mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->closed = true;
    mailbox->wake = NULL;
    pthread_mutex_unlock(&mailbox->mutex);
    uint64_t waiting = 0;
    for (cslice_block *block; (block = cslice__mailbox_take(mailbox)) != NULL; waiting++) {
        cslice__cache_free(block, sizeof *block);
    }
    return waiting;
}

int64_t cslice_callback_take(uint64_t mailbox) {
    if (mailbox == 0) return 0;
    cslice_block *block = cslice__mailbox_take((cslice__mailbox *)(uintptr_t)mailbox);
    if (block == NULL) return 0;
    int64_t number = block->destructor.number;
    cslice__cache_free(block, sizeof *block);
    return number;
}
