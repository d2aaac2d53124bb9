/* What each JavaScript thread has of its own: counters, a cache, and the reason for which its
 * references go. */
#include "internal.h"

static _Thread_local struct {
    uint16_t users; /* environments of this thread that opened the library */
    bool ended;     /* the last of them is gone; V8 now ends what is left */
    bool releasing;
} mine;

void cslice__thread_open(void) {
    if (mine.users++ != 0) return;
    mine.ended = false;
    cslice__cache_open();
    cslice__counts_open();
    cslice__guard_thread_open();
}

void cslice__thread_close(void) {
    if (mine.users == 0 || --mine.users != 0) return;
    mine.ended = true;
    cslice__guard_thread_close();
    cslice__counts_close();
    cslice__cache_close();
}

cslice__end cslice__thread_end_reason(void) {
    if (mine.releasing) return CSLICE__BY_SCOPE;
    return mine.ended ? CSLICE__BY_THREAD_END : CSLICE__BY_COLLECTION;
}

void cslice__thread_releasing(bool releasing) {
    mine.releasing = releasing;
}
