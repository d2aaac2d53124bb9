/*
 * A C library that fills cslice blocks from threads of its own. It finds primes: byte n of the
 * table says whether n is one. The block starts with a head of four int32, which JavaScript reads
 * while the table grows behind it.
 *
 * A job holds a reference to its block, so the block stays whatever JavaScript does with its
 * handle.
 */
#include <cslice.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIEVE_API __attribute__((visibility("default")))

typedef struct sieve_head {
    _Atomic int32_t
        done; /* segments that are finished; written last, so what it counts may be read */
    int32_t segments;
    _Atomic int32_t primes; /* found so far */
    int32_t unused;
} sieve_head;

typedef struct sieve_job {
    pthread_t thread;
    cslice_block *block; /* a reference of the job's own, until the thread is done */
    sieve_head *head;
    uint8_t *table;
    size_t numbers;
    int32_t primes;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int32_t allowed; /* segments that the caller has asked for */
} sieve_job;

/* A block for the numbers below `numbers`, with one reference that the caller owns; NULL: no
 * memory. */
SIEVE_API cslice_block *sieve_block(uint32_t numbers) {
    cslice_block *block;
    if (cslice_block_new(sizeof(sieve_head) + numbers, &block) != 0) return NULL;
    return block;
}

/* Fills table[from] to before table[to], given everything before it. Returns the number of primes
 * there. */
static int32_t fill(uint8_t *table, size_t from, size_t to) {
    memset(table + from, 1, to - from);
    for (size_t n = from; n < to && n < 2; n++) table[n] = 0;
    for (size_t p = 2; p * p < to; p++) {
        if (!table[p]) continue;
        size_t multiple = from <= p * p ? p * p : (from + p - 1) / p * p;
        for (; multiple < to; multiple += p) table[multiple] = 0;
    }
    int32_t primes = 0;
    for (size_t n = from; n < to; n++) primes += table[n];
    return primes;
}

static void wait_for_leave(sieve_job *job, int32_t segment) {
    pthread_mutex_lock(&job->mutex);
    while (job->allowed <= segment) pthread_cond_wait(&job->changed, &job->mutex);
    pthread_mutex_unlock(&job->mutex);
}

static void *run(void *argument) {
    sieve_job *job = argument;
    size_t segments = (size_t)job->head->segments;
    for (size_t i = 0; i < segments; i++) {
        wait_for_leave(job, (int32_t)i);
        job->primes +=
            fill(job->table, job->numbers * i / segments, job->numbers * (i + 1) / segments);
        atomic_store(&job->head->primes, job->primes);
        atomic_store(&job->head->done, (int32_t)i + 1);
    }
    cslice_block_unref(job->block); /* the last use of the bytes was above */
    return NULL;
}

static void job_free(sieve_job *job) {
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->mutex);
    free(job);
}

/*
 * Starts a thread that fills `block` in `segments` parts, none of them before sieve_allow. The
 * caller's reference stays the caller's, who may give it back at once. Returns the job, which
 * sieve_join frees; NULL: the block is too small for its head, `segments` is 0, or there is no
 * memory or no thread.
 */
SIEVE_API sieve_job *sieve_start(cslice_block *block, uint32_t segments) {
    size_t size = cslice_block_size(block);
    if (size < sizeof(sieve_head) || segments == 0 || segments > INT32_MAX) return NULL;
    sieve_job *job = calloc(1, sizeof *job);
    if (job == NULL) return NULL;
    pthread_mutex_init(&job->mutex, NULL);
    pthread_cond_init(&job->changed, NULL);
    job->head = cslice_block_data(block);
    job->table = (uint8_t *)(job->head + 1);
    job->numbers = size - sizeof(sieve_head);
    job->head->segments = (int32_t)segments;
    job->block =
        cslice_block_ref(block); /* before the thread starts: later the caller's may be gone */
    if (pthread_create(&job->thread, NULL, run, job) == 0) return job;
    cslice_block_unref(job->block);
    job_free(job);
    return NULL;
}

/* Lets the job work until it has finished `segments` segments in all. */
SIEVE_API void sieve_allow(sieve_job *job, uint32_t segments) {
    pthread_mutex_lock(&job->mutex);
    job->allowed = (int32_t)segments;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->mutex);
}

/* Waits for the thread, which must be allowed all of its segments, and frees the job. Returns the
 * number of primes. */
SIEVE_API int32_t sieve_join(sieve_job *job) {
    pthread_join(job->thread, NULL);
    int32_t primes = job->primes;
    job_free(job);
    return primes;
}
