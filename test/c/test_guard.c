/* Guard mode: what C must not do to a guarded block is done in a forked child, whose report is
 * read. */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include "fault.h"
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child wrote to its standard error, and how it ended. */
static char report[1 << 16];
static int ending_status;

typedef void action_function(void);

static void run_in_child(action_function *action) {
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        action();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], report + length, sizeof report - 1 - length)) > 0;)
        length += (size_t)got;
    report[length] = '\0';
    close(ends[0]);
    CHECK_EQUAL(waitpid(child, &ending_status, 0), child);
}

static void check_reported(const char *text) {
    if (strstr(report, text) != NULL) return;
    fprintf(stderr, "\"%s\" is not in:\n%s\n", text, report);
    exit(1);
}

/* Sanitizers have handlers of their own, which end the process in their way: that is "as it would
 * have ended". */
/* Not under a sanitizer, which has an allocator and signal handlers of its own. */
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
enum { IS_PLAIN_LINUX = 1 };
#else
enum { IS_PLAIN_LINUX = 0 };
#endif

static void check_ended_by_fault(void) {
    CHECK(WIFSIGNALED(ending_status) || WEXITSTATUS(ending_status) != 0);
    if (under_valgrind()) return; /* it ends a child that erred with a code of its own */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(WIFSIGNALED(ending_status));
    CHECK(WTERMSIG(ending_status) == SIGSEGV || WTERMSIG(ending_status) == SIGBUS);
#endif
}

static void note(cslice_block *block, uint32_t what, const char *text) {
    cslice_guard_note(ADDRESS(block), what, text, strlen(text));
}

static volatile char seen; /* a read whose value goes nowhere is left out */

static volatile char *bytes_of(cslice_block *block) {
    return cslice_block_data(block);
}

static cslice_block *noted_block(size_t size) {
    cslice_block *block = new_block(size);
    note(block, 0, "    at make (app.js:1:2)");
    note(block, 1, "    at drop (app.js:3:4)");
    note(block, 2, "tenant 7");
    return block;
}

static void use_released(void) {
    cslice_block *block = noted_block(64);
    volatile char *bytes = bytes_of(block);
    cslice_block_unref(block);
    bytes[16] = 1;
}

static void read_past_end(void) {
    cslice_block *block = noted_block(64);
    seen = bytes_of(block)[64];
}

static void use_empty(void) {
    seen = bytes_of(noted_block(0))[0];
}

static void test_faults_are_reported(void) {
    run_in_child(use_released);
    check_ended_by_fault();
    check_reported("at offset 16 of a block of 64 bytes after its release");
    check_reported("label tenant 7");
    check_reported("allocated:\n    at make (app.js:1:2)\n");
    check_reported("released by C:\n    at drop (app.js:3:4)\n");
#if defined(__x86_64__)
    check_reported("C wrote at offset 16");
#endif
    run_in_child(read_past_end);
    check_ended_by_fault();
    check_reported("at offset 64, past the end of a block of 64 bytes");
    CHECK(strstr(report, "released") == NULL);
    run_in_child(use_empty);
    check_reported("at offset 0, past the end of a block of 0 bytes");
}

static void touch_nothing_of_ours(void) {
    raise(SIGSEGV);
}

static void test_other_faults_are_not_ours(void) {
    run_in_child(touch_nothing_of_ours);
    check_ended_by_fault();
    CHECK(strstr(report, "cslice") == NULL);
}

/* ---- a handler that was there before ---- */

static void say_and_exit(int number) {
    (void)number;
    if (write(STDERR_FILENO, "earlier handler\n", 16) == 16) _exit(7);
}

static bool set_handler_before(void) {
    struct sigaction action = {0};
    action.sa_handler = say_and_exit;
    return sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0;
}

static void test_earlier_handler_gets_the_fault(void) {
    run_in_child(use_released);
    check_reported("after its release");
    check_reported("earlier handler");
    CHECK(under_valgrind() || (WIFEXITED(ending_status) && WEXITSTATUS(ending_status) == 7));
    run_in_child(touch_nothing_of_ours);
    CHECK(strstr(report, "cslice") == NULL);
    CHECK(WIFEXITED(ending_status) && WEXITSTATUS(ending_status) == 7);
}

/* ---- padding ---- */

static void overrun(void) {
    cslice_block *block = noted_block(61);
    bytes_of(block)[62] = 1;
    cslice_block_unref(block);
}

static void underrun(void) {
    cslice_block *block = noted_block(61);
    bytes_of(block)[-8] = 1;
    cslice_block_unref(block);
}

static void stay_within(void) {
    cslice_block *block = noted_block(61);
    memset(cslice_block_data(block), 1, 61);
    cslice_block_unref(block);
}

static void test_padding_is_checked(void) {
    run_in_child(overrun);
    CHECK_EQUAL(ending_status, 0);
    check_reported(
        "C wrote at offset 62, past the end of a block of 61 bytes, found at its release");
    check_reported("at drop (app.js:3:4)");
    run_in_child(underrun);
    check_reported("C wrote at offset -8, before the start of a block of 61 bytes");
    run_in_child(stay_within);
    CHECK_EQUAL(report[0], '\0');
}

/* ---- memory ---- */

static void test_alignment_and_content(void) {
    const size_t alignments[] = {1, 16, 64, 4096, 65536, (size_t)1 << 20};
    const size_t sizes[] = {0, 1, 61, 4096, 5000, 1 << 20};
    for (size_t a = 0; a < sizeof alignments / sizeof *alignments; a++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            cslice_block *block = NULL;
            CHECK_EQUAL(cslice__block_alloc_guarded(sizes[s], alignments[a], &block), 0);
            CHECK_EQUAL(block->kind, CSLICE__GUARDED);
            CHECK_EQUAL((uintptr_t)block->data % alignments[a], 0);
            CHECK_EQUAL((uintptr_t)block->data % 16, 0);
            CHECK(all_zero(block->data, sizes[s]));
            memset(block->data, 7, sizes[s]);
            cslice_block_unref(block);
        }
    }
    CHECK_EQUAL(cslice_guard_reports(), 0);
}

static void test_counted_as_any_other(void) {
    cslice_statistics before = counts();
    cslice_block *block = new_block(100);
    CHECK_EQUAL(block->kind, CSLICE__GUARDED);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes + 100);
    cslice_block_unref(block);
    CHECK_EQUAL(counts().live_bytes, before.live_bytes);
    CHECK_EQUAL(counts().released_by_c, before.released_by_c + 1);
}

static void test_resize(void) {
    cslice_block *block = new_block(40);
    memset(block->data, 5, 40);
    void *before = block->data;
    int64_t after = cslice__block_resize(block, 5000);
    CHECK_EQUAL(after, ADDRESS(block->data));
    CHECK_EQUAL(block->kind, CSLICE__GUARDED);
    CHECK(block->data != before);
    CHECK_EQUAL(((char *)block->data)[39], 5);
    CHECK(all_zero((char *)block->data + 40, 4960));
    cslice_block *copy = NULL;
    CHECK_EQUAL(cslice__block_clone(block, 10, &copy), 0);
    CHECK_EQUAL(((char *)copy->data)[9], 5);
    cslice_block_unref(copy);
    cslice_block_unref(block);
}

static void use_disowned(void) {
    cslice_block *block = noted_block(40);
    volatile char *bytes = bytes_of(block);
    void *room = NULL;
    CHECK_EQUAL(cslice__block_disown_room(block, &room), 0);
    CHECK_EQUAL(cslice__block_disown(block, room), 0);
    seen = bytes[3];
}

static void test_disown(void) {
    cslice_block *block = new_block(40);
    memset(block->data, 6, 40);
    void *room = NULL;
    CHECK_EQUAL(cslice__block_disown_room(block, &room), 0);
    CHECK(room != NULL);
    CHECK_EQUAL(cslice__block_disown(block, room), 0);
    CHECK_EQUAL(((char *)block->data)[39], 6);
    free(block->data); /* malloc's memory */
    cslice_block_unref(block);
    run_in_child(use_disowned);
    check_reported("released by disown(), which returned another address");
}

static int64_t try_guarded(void *argument) {
    (void)argument;
    cslice_block *block = NULL;
    int status = cslice__block_alloc_guarded(100, 16, &block);
    if (status == 0) cslice_block_unref(block);
    return status;
}

static void test_failed_allocations(void) {
    CHECK(fail_each_allocation(try_guarded, NULL, NULL) > 0);
}

/* The quarantine and the table of blocks are bounded: beyond them blocks are as without guards. */
static void test_bounds(void) {
    enum { MANY = 13000 };
    static cslice_block *blocks[MANY];
    int guarded = 0;
    for (int i = 0; i < MANY; i++) {
        blocks[i] = new_block(8);
        guarded += blocks[i]->kind == CSLICE__GUARDED;
    }
    CHECK(guarded >= 10000 && guarded < MANY);
    for (int i = 0; i < MANY; i++) cslice_block_unref(blocks[i]);
    for (int i = 0; i < 10; i++) cslice_block_unref(new_block((size_t)512 << 20));
    cslice_block *again = new_block(8);
    CHECK_EQUAL(again->kind, CSLICE__GUARDED);
    cslice_block_unref(again);
}

static void test_errno_is_kept(void) {
    errno = EDOM;
    cslice_block_unref(new_block(100));
    cslice_block_unref(new_block(1 << 20));
    CHECK_EQUAL(errno, EDOM);
}

static void test_notes_are_cut(void) {
    static char text[8192];
    memset(text, 'x', sizeof text);
    cslice_block *block = new_block(8);
    for (uint32_t what = 0; what < 4; what++)
        cslice_guard_note(ADDRESS(block), what, text, sizeof text);
    cslice_block_unref(block);
}

/* A record stands in the place where a guarded block has its pages. */
static void test_recorded(void) {
    cslice__mailbox *mailbox = new_mailbox(NULL);
    cslice_block *block = new_block(40);
    CHECK_EQUAL(block->kind, CSLICE__GUARDED);
    int64_t record = cslice_record_new(ADDRESS(block), ADDRESS(mailbox));
    CHECK(record > 0);
    note(block, 1, "at release");
    CHECK(cslice__block_resize(block, 5000) > 0);
    CHECK_EQUAL(block->kind, CSLICE__GUARDED);
    CHECK_EQUAL(cslice_record_of(ADDRESS(block)), record);
    cslice_block_unref(block);
    CHECK_EQUAL(cslice_record_next(ADDRESS(mailbox)),
                record * CSLICE_RECORD_ENDS + CSLICE_RECORD_BY_C);

    block = new_block(40);
    record = cslice_record_new(ADDRESS(block), ADDRESS(mailbox));
    void *room = NULL;
    CHECK_EQUAL(cslice__block_disown_room(block, &room), 0);
    CHECK_EQUAL(cslice__block_disown(block, room), 0);
    free(room);
    cslice_block_unref(block);
    CHECK(cslice_record_next(ADDRESS(mailbox)) / CSLICE_RECORD_ENDS == record);
    cslice__due_end(mailbox);
}

/* ---- which blocks ---- */

static int guarded_of(int blocks) {
    int guarded = 0;
    for (int i = 0; i < blocks; i++) {
        cslice_block *block = new_block(8);
        guarded += block->kind == CSLICE__GUARDED;
        cslice_block_unref(block);
    }
    return guarded;
}

static void test_rate(void) {
    CHECK_EQUAL(cslice_guard_set(0), 0);
    CHECK_EQUAL(guarded_of(1000), 0);
    CHECK_EQUAL(cslice_guard_set(100), 0);
    int guarded = guarded_of(100000);
    CHECK(guarded > 800 && guarded < 1200);
    CHECK_EQUAL(cslice_guard_set(1), 0);
    CHECK_EQUAL(guarded_of(100), 100);
    CHECK_EQUAL(cslice_guard_set(CSLICE_GUARD_MOST + 1), CSLICE_EINVAL);
    CHECK_EQUAL(*(uint32_t *)(uintptr_t)cslice_guard_rate_address(), 1);
}

/* ---- threads ---- */

static void *work(void *unused) {
    cslice__thread_open();
    for (int i = 0; i < 300; i++) {
        cslice_block *block = noted_block((size_t)i);
        memset(cslice_block_data(block), 1, (size_t)i);
        cslice_block_unref(block);
    }
    cslice__thread_close();
    return unused;
}

static void test_threads(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

static void *use_released_in_thread(void *unused) {
    cslice__thread_open(); /* with a stack for the report */
    use_released();
    return unused;
}

static void use_in_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_released_in_thread, NULL) == 0)
        pthread_join(thread, NULL);
}

static void test_fault_in_a_thread(void) {
    run_in_child(use_in_thread);
    check_ended_by_fault();
    check_reported("at offset 16 of a block of 64 bytes after its release");
}

/* ---- what the system refuses, and how others handle signals ---- */

/* malloc keeps what it has. */
static void limit(int resource) {
    void *volatile room = malloc(100000);
    free(room);
    const struct rlimit none = {0, 0};
    CHECK_EQUAL(setrlimit(resource, &none), 0);
}

static void turn_on_without_address_space(void) {
    limit(RLIMIT_AS);
    CHECK_EQUAL(cslice_guard_set(1), CSLICE_ENOMEM);
    CHECK_EQUAL(guarded_of(10), 0);
}

static void turn_on_without_memory(void) {
    limit(RLIMIT_DATA);
    CHECK_EQUAL(cslice_guard_set(1), CSLICE_ENOMEM);
    CHECK_EQUAL(guarded_of(10), 0);
}

/* Blocks are as without guards then, and the usual stack serves for a report. */
static void go_on_without(int resource) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    cslice_block *block = noted_block(100);
    memset(block->data, 9, 100);
    cslice__fault_stack_close();
    limit(resource);
    cslice__fault_stack_open();
    CHECK_EQUAL(guarded_of(10), 0);
    CHECK(cslice__block_resize(block, 50) > 0);
    CHECK_EQUAL(block->kind, CSLICE__HEAP);
    CHECK_EQUAL(((char *)block->data)[49], 9);
    cslice_block_unref(block);
    use_released();
}

static void go_on_without_address_space(void) {
    go_on_without(RLIMIT_AS);
}

static void go_on_without_memory(void) {
    go_on_without(RLIMIT_DATA);
}

static void test_refusals_of_the_system(void) {
    if (!IS_PLAIN_LINUX || under_valgrind()) return; /* the tools need memory of their own */
    action_function *const refused[] = {turn_on_without_address_space, turn_on_without_memory,
                                        go_on_without_address_space, go_on_without_memory};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        run_in_child(refused[i]);
        CHECK_EQUAL(ending_status, 0);
        CHECK_EQUAL(report[0], '\0');
    }
}

static void ignore_what_is_sent(void) {
    signal(SIGSEGV, SIG_IGN);
    CHECK_EQUAL(cslice_guard_set(1), 0);
    raise(SIGSEGV);
    _exit(3);
}

static void fault_though_ignored(void) {
    signal(SIGSEGV, SIG_IGN);
    CHECK_EQUAL(cslice_guard_set(1), 0);
    use_released();
}

/* A page of a file that has become shorter. */
static void read_beyond_a_file(void) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    FILE *file = tmpfile();
    CHECK(file != NULL && ftruncate(fileno(file), 4096) == 0);
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    CHECK(page != MAP_FAILED && ftruncate(fileno(file), 0) == 0);
    seen = page[0];
}

static void test_signals(void) {
    run_in_child(ignore_what_is_sent);
    CHECK(WIFEXITED(ending_status) && WEXITSTATUS(ending_status) == 3);
    run_in_child(fault_though_ignored);
    check_reported("after its release");
    check_ended_by_fault();
    run_in_child(read_beyond_a_file);
    CHECK(strstr(report, "cslice") == NULL);
    check_ended_by_fault();
}

/* ---- a standard error that does not take a report ---- */

/* Fills a pipe that becomes the standard error. Returns the end that is read. */
static int block_standard_error(void) {
    int ends[2];
    static char much[1 << 16];
    memset(much, '.', sizeof much);
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], much, sizeof much) > 0) continue;
    CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return ends[0];
}

static void report_to_nobody(void) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    block_standard_error();
    use_released();
}

/* The reader begins when the report waits for room. */
static void report_to_a_late_reader(void) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    int original = dup(STDERR_FILENO), end = block_standard_error();
    if (fork() != 0) use_released();
    close(STDERR_FILENO);
    usleep(200000);
    static char got[1 << 18];
    size_t length = 0;
    for (ssize_t n; (n = read(end, got + length, sizeof got - 1 - length)) > 0;)
        length += (size_t)n;
    const char *said = strstr(got, "cslice guard");
    if (said != NULL) dprintf(original, "%s", said);
}

static void report_without_standard_error(void) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    close(STDERR_FILENO);
    use_released();
}

static void test_standard_error(void) {
    run_in_child(report_to_nobody);
    check_ended_by_fault();
    run_in_child(report_without_standard_error);
    check_ended_by_fault();
    run_in_child(report_to_a_late_reader);
    check_ended_by_fault();
    check_reported("after its release");
    check_reported("released by C:\n    at drop (app.js:3:4)\n");
}

/* ---- free() of a guarded block: it reads what is before the block ---- */

static cslice_block *block_to_free(size_t size, bool is_released) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    cslice_block *block = noted_block(size);
    if (!is_released) return block;
    static cslice_block copy;
    copy = *block;
    cslice_block_unref(block);
    return &copy;
}

static size_t live_size;

static void free_live(void) {
    free(block_to_free(live_size, false)->data);
}

static void abort_beside_live(void) {
    const void *volatile held = block_to_free(64, false)->data;
    CHECK(held != NULL);
    abort();
}

static void free_released(void) {
    free(block_to_free(64, true)->data);
}

static void test_free_is_reported(void) {
    if (!IS_PLAIN_LINUX || under_valgrind()) return; /* the tools have a free() of their own */
    static const size_t sizes[] = {1, 16, 61, 64, 1024, 4096, 5000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        live_size = sizes[i];
        run_in_child(free_live);
        CHECK(WIFSIGNALED(ending_status));
        check_reported("C called free() for a live block of ");
    }
    run_in_child(abort_beside_live);
    CHECK_EQUAL(WTERMSIG(ending_status), SIGABRT);
    CHECK(strstr(report, "cslice") == NULL);
    run_in_child(free_released);
    check_reported("C called free() for a released block of 64 bytes");
}

/* ---- the rest of a report, and of what may be asked for ---- */

static void use_after_thread_end(void) {
    CHECK_EQUAL(cslice_guard_set(1), 0);
    cslice_block *block = noted_block(1);
    volatile char *bytes = bytes_of(block);
    cslice__block_unref(block, CSLICE__BY_THREAD_END);
    seen = bytes[0];
}

static void test_reason_and_number(void) {
    run_in_child(use_after_thread_end);
    check_reported("a block of 1 byte after its release");
    check_reported("released at the end of its thread");
}

static void test_impossible_requests(void) {
    cslice_block *block = NULL;
    const size_t half = SIZE_MAX / 2 + 1;
    CHECK_EQUAL(cslice__block_alloc_guarded(half, 16, &block), CSLICE_ENOMEM);
    CHECK_EQUAL(cslice__block_alloc_guarded(16, half, &block), CSLICE_ENOMEM);
}

static void test_off(void) {
    cslice_block *block = NULL;
    CHECK_EQUAL(cslice__block_alloc_guarded(8, 16, &block), 0);
    CHECK_EQUAL(block->kind, CSLICE__HEAP);
    cslice_guard_note(ADDRESS(block), 2, "label", 5); /* goes nowhere */
    cslice_block_unref(block);
}

static void lower_the_rate(void) {
    CHECK_EQUAL(cslice_guard_set(CSLICE_GUARD_MOST), 0);
    guarded_of(1);
    CHECK_EQUAL(cslice_guard_set(2), 0);
    CHECK(guarded_of(4) > 0);
}

static void test_rate_changes_at_once(void) {
    run_in_child(lower_the_rate);
    CHECK_EQUAL(ending_status, 0);
}

/* In a process whose guard mode is off: each child turns it on in its own way. */
static void test_alone(void) {
    test_refusals_of_the_system();
    test_signals();
    test_standard_error();
    test_free_is_reported();
    test_reason_and_number();
    test_impossible_requests();
    test_off();
    test_rate_changes_at_once();
    check_nothing_live();
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "alone") == 0) {
        test_alone();
        return 0;
    }
    if (argc > 1) { /* the handlers stay for the life of a process: this one has another first */
        CHECK(set_handler_before());
        CHECK_EQUAL(cslice_guard_set(1), 0);
        test_earlier_handler_gets_the_fault();
        return 0;
    }
    CHECK_EQUAL(guarded_of(10), 0);
    CHECK_EQUAL(cslice_guard_set(1), 0);
    test_faults_are_reported();
    test_other_faults_are_not_ours();
    test_padding_is_checked();
    test_alignment_and_content();
    test_counted_as_any_other();
    test_resize();
    test_disown();
    test_failed_allocations();
    test_errno_is_kept();
    test_notes_are_cut();
    test_recorded();
    test_rate();
    test_threads();
    test_fault_in_a_thread();
    test_bounds();
    check_nothing_live();
    CHECK_EQUAL(cslice_guard_reports(), 0);
    return 0;
}
