/* Offers of blocks from one JavaScript thread to others. An offer keeps its block until it is taken up, so that the
   sender may forget it at once; and gives up after a time, so that one that is never taken up is not kept for ever. */
#include "internal.h"

#include <time.h>

typedef struct share {
    uint64_t name;
    uint64_t secret;
    cslice_block *block;
    uint32_t attachments; /* still expected */
    uint32_t patience_ms;
    uint64_t deadline_ms; /* 0: the slot is full, so the offer stands */
} share;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static share *shares;
static size_t count;
static size_t capacity;
static uint64_t last_name;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static share *find(uint64_t name) {
    for (size_t i = 0; i < count; i++) {
        if (shares[i].name == name) return &shares[i];
    }
    return NULL;
}

/* Returns the block, for the caller to drop once the lock is released: its destructor may call back in here. */
static cslice_block *end(share *ended) {
    cslice_block *block = ended->block;
    *ended = shares[--count];
    return block;
}

static cslice_block *take_expired(uint64_t now) {
    cslice_block *block = NULL;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < count && block == NULL; i++) {
        if (shares[i].deadline_ms != 0 && shares[i].deadline_ms <= now) block = end(&shares[i]);
    }
    pthread_mutex_unlock(&mutex);
    return block;
}

int64_t cslice_shares_expire(void) {
    uint64_t now = now_ms();
    for (cslice_block *block; (block = take_expired(now)) != NULL;) cslice__block_drop(block, CSLICE__BY_COLLECTION);
    pthread_mutex_lock(&mutex);
    int64_t left = (int64_t)count;
    pthread_mutex_unlock(&mutex);
    return left;
}

static bool make_room(void) {
    if (count < capacity) return true;
    size_t wanted = capacity == 0 ? 16 : 2 * capacity;
    share *grown = cslice__mem_resize(shares, count * sizeof *grown, wanted * sizeof *grown, 16);
    if (grown == NULL) return false;
    shares = grown;
    capacity = wanted;
    return true;
}

int64_t cslice__share_new(cslice_block *block, uint64_t secret, uint32_t attachments, uint32_t patience_ms) {
    cslice_shares_expire();
    int64_t name = CSLICE_ENOMEM;
    pthread_mutex_lock(&mutex);
    if (make_room()) {
        name = (int64_t)++last_name;
        shares[count++] = (share){.name = last_name,
                                  .secret = secret,
                                  .block = cslice_block_ref(block),
                                  .attachments = attachments,
                                  .patience_ms = patience_ms};
    }
    pthread_mutex_unlock(&mutex);
    return name;
}

void cslice__share_extend(uint64_t name, uint64_t secret, uint32_t attachments, uint32_t patience_ms) {
    pthread_mutex_lock(&mutex);
    share *found = find(name);
    if (found != NULL) {
        found->secret = secret;
        found->attachments = attachments > UINT32_MAX - found->attachments ? UINT32_MAX
                                                                           : found->attachments + attachments;
        if (patience_ms > found->patience_ms) found->patience_ms = patience_ms;
    }
    pthread_mutex_unlock(&mutex);
}

cslice_block *cslice__share_attach(uint64_t name, uint64_t secret, uint64_t end_of_range) {
    cslice_shares_expire();
    cslice_block *block = NULL, *last = NULL;
    pthread_mutex_lock(&mutex);
    share *found = find(name);
    if (found != NULL && found->secret == secret && end_of_range <= found->block->size) {
        block = cslice_block_ref(found->block);
        if (found->attachments > 0) found->attachments--;
        if (found->attachments == 0 && found->deadline_ms != 0) last = end(found);
    }
    pthread_mutex_unlock(&mutex);
    if (last != NULL) cslice_block_unref(last); /* never the last reference: the caller has one */
    return block;
}

void cslice__share_orphan(uint64_t name) {
    cslice_block *block = NULL;
    uint64_t now = now_ms();
    pthread_mutex_lock(&mutex);
    share *found = find(name);
    if (found != NULL) {
        found->deadline_ms = now + found->patience_ms + 1; /* never 0 */
        if (found->attachments == 0) block = end(found);
    }
    pthread_mutex_unlock(&mutex);
    if (block != NULL) cslice_block_unref(block); /* never the last reference: the slot's is dropped after this */
}
