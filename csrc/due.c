/* Runs the destructors that wait in a mailbox. It stands above the two files that it joins: a block
   posts itself to its mailbox, and a mailbox calls nothing of blocks. */
#include "internal.h"

#include <errno.h>

static int64_t finish(cslice_block *block) {
    cslice__counts_due(-1, block->size);
    return cslice__block_finish(block);
}

int64_t cslice_due_next(uint64_t mailbox) {
    if (mailbox == 0) return 0;
    int64_t number = cslice__handles_next_ended();
    int saved = errno; /* a destructor may change it */
    for (cslice_block *block;
         number == 0 && (block = cslice__mailbox_take((void *)(uintptr_t)mailbox)) != NULL;) {
        number = finish(block);
        if (number == 0) number = cslice__handles_next_ended();
    }
    errno = saved;
    return number;
}

void cslice__due_end(cslice__mailbox *mailbox) {
    uint64_t lost = 0;
    cslice__mailbox_close(mailbox);
    cslice__record_close(mailbox);
    for (cslice_block *block; (block = cslice__mailbox_take(mailbox)) != NULL;) {
        if (finish(block) != 0) lost++;
    }
    cslice__counts_lost(lost);
    cslice__mailbox_unref(mailbox);
}
