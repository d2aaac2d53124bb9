/*
 * The Node-API module in an imitation of Node-API, each of whose functions can be made to fail, as
 * they all do in a thread that is being terminated.
 */
#include "node_api.h"
#include "support.h"

#include <string.h>

#define NODE_API __attribute__((visibility("default")))

napi_value napi_register_module_v1(napi_env env, napi_value exports);
int32_t node_api_module_get_api_version_v1(void);

/* ---- values, and what the module exports ---- */

/* One value is of every type at once, unless it is `big` or `wrong`. */
struct napi_value__ {
    uint64_t number;
    bool is_big, is_wrong;
    void *data;
    size_t size;
    napi_finalize *finalize; /* NULL: it has run, or there is none */
    void *hint;
};

enum { MOST_VALUES = 512, MOST_EXPORTS = 80, MOST_ARGUMENTS = 6 };

static struct napi_value__ values[MOST_VALUES];
static int value_count;

typedef struct exported {
    const char *name;
    napi_callback *function;
    void *data;
} exported;

static exported exports[MOST_EXPORTS];
static int export_count;
static exported created;

static void (*close_hook)(void *);
static void *close_argument;
static napi_finalize *listener_end;
static void *listener_data;
static int wakes;
static unsigned int loop[8];

static napi_value new_value(void) {
    CHECK(value_count < MOST_VALUES);
    values[value_count] = (struct napi_value__){0};
    return &values[value_count++];
}

/* ---- failures ---- */

/* Calls of Node-API until one fails; 0: none does. */
static int calls_left;
static bool fails_from_then_on, has_failed;
static bool no_buffers, finalizes_at_detach, stays_attached;

static bool fails(void) {
    if (has_failed && fails_from_then_on) return true;
    if (calls_left == 0 || --calls_left != 0) return false;
    has_failed = true;
    return true;
}

static void arm(int calls, bool from_then_on) {
    calls_left = calls;
    fails_from_then_on = from_then_on;
    has_failed = false;
}

/* Whether a call has failed since. */
static bool disarm(void) {
    bool failed = has_failed;
    arm(0, false);
    return failed;
}

enum { OK = 0, FAILURE = 9 };

/* ---- Node-API ---- */

typedef struct call_info {
    size_t count;
    napi_value *arguments;
    void *data;
} call_info;

NODE_API napi_status napi_create_function(napi_env env, const char *name, size_t length,
                                          napi_callback *callback, void *data, napi_value *out) {
    (void)env;
    (void)length;
    if (fails()) return FAILURE;
    created = (exported){name, callback, data};
    *out = NULL;
    return OK;
}

NODE_API napi_status napi_set_named_property(napi_env env, napi_value object, const char *name,
                                             napi_value value) {
    (void)env;
    (void)object;
    (void)value;
    if (fails()) return FAILURE;
    CHECK(strcmp(name, created.name) == 0 && export_count < MOST_EXPORTS);
    exports[export_count++] = created;
    return OK;
}

NODE_API napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count,
                                      napi_value *arguments, napi_value *self, void **data) {
    (void)env;
    (void)self;
    if (fails()) return FAILURE;
    const call_info *given = (const call_info *)info;
    size_t room = *count;
    for (size_t i = 0; i < room && i < given->count; i++) arguments[i] = given->arguments[i];
    *count = given->count;
    if (data != NULL) *data = given->data;
    return OK;
}

NODE_API napi_status napi_get_value_uint32(napi_env env, napi_value value, uint32_t *out) {
    (void)env;
    if (fails() || value->is_wrong) return FAILURE;
    *out = (uint32_t)value->number;
    return OK;
}

NODE_API napi_status napi_get_value_int64(napi_env env, napi_value value, int64_t *out) {
    (void)env;
    if (fails() || value->is_wrong || value->is_big) return FAILURE;
    *out = (int64_t)value->number;
    return OK;
}

NODE_API napi_status napi_get_value_bigint_uint64(napi_env env, napi_value value, uint64_t *out,
                                                  bool *lossless) {
    (void)env;
    if (fails() || !value->is_big) return FAILURE;
    *out = value->number;
    *lossless = true;
    return OK;
}

NODE_API napi_status napi_get_value_bool(napi_env env, napi_value value, bool *out) {
    (void)env;
    if (fails() || value->is_wrong) return FAILURE;
    *out = value->number != 0;
    return OK;
}

static napi_status put_number(uint64_t number, bool is_big, napi_value *out) {
    if (fails()) return FAILURE;
    *out = new_value();
    (*out)->number = number;
    (*out)->is_big = is_big;
    return OK;
}

NODE_API napi_status napi_create_int64(napi_env env, int64_t number, napi_value *out) {
    (void)env;
    return put_number((uint64_t)number, false, out);
}

NODE_API napi_status napi_create_bigint_int64(napi_env env, int64_t number, napi_value *out) {
    (void)env;
    return put_number((uint64_t)number, true, out);
}

NODE_API napi_status napi_create_string_utf8(napi_env env, const char *text, size_t length,
                                             napi_value *out) {
    (void)env;
    (void)text;
    (void)length;
    return put_number(0, false, out);
}

static void finalize(napi_value value) {
    napi_finalize *function = value->finalize;
    value->finalize = NULL;
    if (function != NULL) function(NULL, value->data, value->hint);
}

NODE_API napi_status napi_detach_arraybuffer(napi_env env, napi_value buffer) {
    (void)env;
    if (fails()) return FAILURE;
    if (no_buffers) return NAPI_ARRAYBUFFER_EXPECTED;
    if (finalizes_at_detach && !stays_attached) finalize(buffer);
    return OK;
}

NODE_API napi_status napi_is_detached_arraybuffer(napi_env env, napi_value buffer, bool *out) {
    (void)env;
    (void)buffer;
    if (fails()) return FAILURE;
    *out = !stays_attached;
    return OK;
}

NODE_API napi_status napi_get_typedarray_info(napi_env env, napi_value array, int *type,
                                              size_t *length, void **data, napi_value *buffer,
                                              size_t *offset) {
    (void)env;
    (void)type;
    (void)buffer;
    (void)offset;
    if (fails() || array->is_wrong) return FAILURE;
    if (length != NULL) *length = array->size;
    *data = array->data;
    return OK;
}

static napi_status put_owner(void *data, size_t size, napi_finalize *end, void *hint,
                             napi_value *out) {
    if (fails()) return FAILURE;
    *out = new_value();
    (*out)->data = data;
    (*out)->size = size;
    (*out)->finalize = end;
    (*out)->hint = hint;
    return OK;
}

NODE_API napi_status napi_create_external_arraybuffer(napi_env env, void *data, size_t size,
                                                      napi_finalize *end, void *hint,
                                                      napi_value *out) {
    (void)env;
    return no_buffers ? FAILURE : put_owner(data, size, end, hint, out);
}

NODE_API napi_status napi_create_external(napi_env env, void *data, napi_finalize *end, void *hint,
                                          napi_value *out) {
    (void)env;
    return put_owner(data, 0, end, hint, out);
}

NODE_API napi_status napi_create_reference(napi_env env, napi_value value, uint32_t count,
                                           napi_ref *out) {
    (void)env;
    (void)value;
    (void)count;
    if (fails()) return FAILURE;
    *out = NULL;
    return OK;
}

NODE_API napi_status napi_add_env_cleanup_hook(napi_env env, void (*function)(void *),
                                               void *argument) {
    (void)env;
    if (fails()) return FAILURE;
    close_hook = function;
    close_argument = argument;
    return OK;
}

NODE_API napi_status napi_create_threadsafe_function(
    napi_env env, napi_value function, napi_value resource, napi_value name, size_t queue,
    size_t threads, void *data, napi_finalize *end, void *context,
    void (*call)(napi_env, napi_value, void *, void *), napi_threadsafe_function *out) {
    (void)env;
    (void)function;
    (void)resource;
    (void)name;
    (void)queue;
    (void)threads;
    (void)context;
    (void)call;
    if (fails()) return FAILURE;
    listener_end = end;
    listener_data = data;
    *out = (napi_threadsafe_function)&wakes;
    return OK;
}

NODE_API napi_status napi_get_uv_event_loop(napi_env env, void **out) {
    (void)env;
    if (fails()) return FAILURE;
    *out = loop;
    return OK;
}

NODE_API napi_status napi_unref_threadsafe_function(napi_env env,
                                                    napi_threadsafe_function function) {
    (void)env;
    (void)function;
    return fails() ? FAILURE : OK;
}

NODE_API napi_status napi_call_threadsafe_function(napi_threadsafe_function function, void *data,
                                                   int mode) {
    (void)data;
    (void)mode;
    CHECK(function == (napi_threadsafe_function)&wakes);
    wakes++;
    return OK;
}

/* With this function alone of V8's a process is Bun. */
void *_ZN2v87Isolate10GetCurrentEv(void);

NODE_API void *_ZN2v87Isolate10GetCurrentEv(void) {
    return NULL;
}

/* ---- an environment with the module ---- */

static double cells[4];
enum { RESULT = 0, ADDRESS_OF_BYTES = 1, DUE = 2, STATUS = 3 };

/* What a test passes: numbers, or one of these for what it has prepared. */
enum { BUFFER = 1 << 20, BLOCK, BYTES, ARRAY, BIG, WRONG };

static struct {
    napi_value buffer;
    cslice_block *block;
} prepared;

static napi_value argument_of(int64_t given) {
    napi_value value = new_value();
    value->number = (uint64_t)given;
    switch (given) {
    case BUFFER: return prepared.buffer;
    case BLOCK: value->number = ADDRESS(prepared.block); break;
    case BYTES: value->number = ADDRESS(prepared.block->data); break;
    case BIG:
        value->number = 64;
        value->is_big = true;
        break;
    case WRONG: value->is_wrong = true; break;
    default: break;
    }
    value->data = cells;
    value->size = sizeof cells / sizeof *cells;
    return value;
}

static const exported *find(const char *name) {
    for (int i = 0; i < export_count; i++)
        if (strcmp(exports[i].name, name) == 0) return &exports[i];
    return NULL;
}

static napi_value call(const char *name, size_t count, const int64_t *given) {
    const exported *function = find(name);
    CHECK(function != NULL);
    napi_value arguments[MOST_ARGUMENTS];
    for (size_t i = 0; i < count; i++) arguments[i] = argument_of(given[i]);
    call_info info = {count, arguments, function->data};
    return function->function(NULL, (napi_callback_info)&info);
}

#define CALL(name, ...)                                                                            \
    call(name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static void register_module(void) {
    export_count = 0;
    close_hook = NULL;
    napi_register_module_v1(NULL, NULL);
}

static void open_module(void) {
    register_module();
    CHECK_EQUAL(CALL("open", ARRAY, 1, 1)->number, 0); /* this process has no V8 */
}

/* The thread ends: first the hook, then what is left of its values. */
static void close_module(void) {
    if (close_hook != NULL) close_hook(close_argument);
    for (int i = 0; i < value_count; i++) finalize(&values[i]);
    value_count = 0;
    if (listener_end != NULL) listener_end(NULL, listener_data, NULL);
    listener_end = NULL;
    check_nothing_live();
    CHECK_EQUAL(counts().waiting_blocks, 0);
}

static void prepare(void) {
    prepared.buffer = CALL("alloc", 64);
    CHECK(prepared.buffer != NULL);
    prepared.block = (cslice_block *)(uintptr_t)cells[RESULT];
}

/* ---- the tests ---- */

static char bytes[64];

static void test_no_start(void) {
    cslice_test_fail_allocation(1);
    register_module();
    cslice_test_fail_allocation(0);
    CHECK_EQUAL(export_count, 0);
    arm(1, false); /* the hook without which nothing would be freed at the thread's end */
    register_module();
    CHECK(disarm());
    CHECK_EQUAL(export_count, 0);
    CHECK(account() == NULL);
}

static void test_exports_that_fail(void) {
    register_module();
    int all = export_count;
    close_module();
    for (int n = 2; n <= 3; n++) {
        arm(n, false);
        register_module();
        CHECK(disarm());
        CHECK_EQUAL(export_count, all - 1);
        close_module();
    }
}

/* There finalizers run at once only under Node-API's experimental version. */
static void test_version_in_bun(void) {
    CHECK_EQUAL(node_api_module_get_api_version_v1(), INT32_MAX);
}

static void test_before_open(void) {
    register_module();
    for (int i = 0; i < export_count; i++) {
        if (strncmp(exports[i].name, "cslice_", 7) == 0 || strcmp(exports[i].name, "open") == 0)
            continue;
        CHECK(CALL(exports[i].name, 1, 1, 1, 1, 1, 1) == NULL);
    }
    close_module();
}

static void test_open(void) {
    register_module();
    CHECK(CALL("open", WRONG, 1, 1) == NULL && CALL("open", ARRAY, WRONG, 1) == NULL);
    CHECK(CALL("open", ARRAY, 1, WRONG) == NULL && CALL("open", ARRAY, 1) == NULL);
    napi_value array = argument_of(ARRAY), flag = argument_of(1);
    array->size = 3; /* one cell is missing */
    napi_value arguments[] = {array, flag, flag};
    call_info info = {3, arguments, find("open")->data};
    CHECK(find("open")->function(NULL, (napi_callback_info)&info) == NULL);
    arm(6, false);
    CHECK(CALL("open", ARRAY, 1, 0) != NULL);
    CHECK(disarm() && CALL("requests", 0) == NULL); /* the event loop is unknown */
    close_module();
    register_module();
    arm(5, false);
    CHECK(CALL("open", ARRAY, 1, 1) == NULL); /* the cells would not be kept */
    CHECK(disarm() && CALL("alloc", 8) == NULL);
    CHECK(CALL("open", ARRAY, 0, 0) != NULL);
    CHECK(CALL("requests", 0) == NULL); /* not Node: its event loop is unknown */
    close_module();
}

typedef struct example {
    const char *name;
    size_t count;
    int64_t arguments[MOST_ARGUMENTS];
} example;

static example examples[] = {
    {"alloc", 1, {64}},
    {"allocWith", 3, {64, 4096, 1}},
    {"allocGuarded", 2, {64, 16}},
    {"adopt", 6, {0, 64, 0, CSLICE_SIGNATURE_CTX_PTR, 5, 1}},
    {"adopt", 6, {0, 64, 0, CSLICE_SIGNATURE_CTX_PTR, 5, 0}},
    {"adoptCallback", 3, {0, 64, 1}},
    {"take", 2, {BLOCK, 64}},
    {"refer", 3, {BLOCK, BYTES, 8}},
    {"wait", 3, {BLOCK, BYTES, 64}},
    {"borrow", 2, {BYTES, 8}},
    {"share", 3, {BLOCK, BYTES, 8}},
    {"attach", 4, {BUFFER, 0, BYTES, 8}},
    {"resize", 3, {BUFFER, BLOCK, 128}},
    {"clone", 3, {BLOCK, 32, 0}},
    {"disown", 2, {BUFFER, BLOCK}},
    {"end", 2, {BUFFER, 0}},
    {"lock", 2, {BUFFER, 0}},
    {"requests", 0, {0}},
    {"collect", 0, {0}},
    {"listen", 1, {0}},
};
enum { EXAMPLES = sizeof examples / sizeof *examples };

static void complete_examples(void) {
    for (int i = 0; i < EXAMPLES; i++) {
        if (strncmp(examples[i].name, "adopt", 5) != 0) continue;
        examples[i].arguments[0] = (int64_t)ADDRESS(bytes);
        if (examples[i].count == 6) examples[i].arguments[2] = (int64_t)FUNCTION(end_ctx_ptr);
    }
}

/* Runs it in an environment of its own, which ends then. */
static bool run(const example *tried, int failing_call, bool from_then_on, bool listening) {
    open_module();
    if (listening) CHECK(CALL("listen", 0) != NULL);
    prepare();
    if (strcmp(tried->name, "take") == 0) cslice_block_ref(prepared.block); /* as C hands it over */
    cells[RESULT] = cells[ADDRESS_OF_BYTES] = -1;
    int before = value_count;
    arm(failing_call, from_then_on);
    napi_value result = call(tried->name, tried->count, tried->arguments);
    bool failed = disarm();
    bool begun = result != NULL || cells[RESULT] != -1;
    if (strcmp(tried->name, "take") == 0 && !begun) cslice_block_unref(prepared.block);
    if (strcmp(tried->name, "disown") == 0 && cells[ADDRESS_OF_BYTES] != -1)
        cslice__mem_free((void *)(uintptr_t)cells[ADDRESS_OF_BYTES]);
    CHECK(value_count >= before);
    close_module();
    return failed;
}

static void test_every_call_may_fail(void) {
    for (int mode = 0; mode < 16; mode++) {
        finalizes_at_detach = (mode & 4) != 0;
        no_buffers = (mode & 8) != 0;
        for (int i = 0; i < EXAMPLES; i++) {
            int n = 1;
            while (run(&examples[i], n, (mode & 1) != 0, (mode & 2) != 0)) n++;
            CHECK(n > 1); /* each asks Node-API for something */
        }
    }
    finalizes_at_detach = no_buffers = false;
}

/* A number where a function wants one of its arguments; another value is refused for each. */
static void test_wrong_arguments(void) {
    for (int i = 0; i < EXAMPLES; i++) {
        for (size_t wrong = 0; wrong < examples[i].count; wrong++) {
            example tried = examples[i];
            if (tried.arguments[wrong] == BUFFER || strcmp(tried.name, "listen") == 0 ||
                strcmp(tried.name, "end") == 0 || strcmp(tried.name, "lock") == 0)
                continue;
            tried.arguments[wrong] = WRONG;
            CHECK(!run(&tried, 0, false, true));
            CHECK_EQUAL(cells[RESULT], -1);
            tried.count = wrong;
            CHECK(!run(&tried, 0, false, true));
            CHECK_EQUAL(cells[RESULT], -1);
        }
    }
}

static void check_refused(int status, example tried) {
    open_module();
    prepare();
    CHECK(call(tried.name, tried.count, tried.arguments) == NULL);
    CHECK_EQUAL(cells[RESULT], status);
    close_module();
}

static void test_refusals(void) {
    const int64_t data = (int64_t)ADDRESS(bytes), function = (int64_t)FUNCTION(end_ptr);
    check_refused(CSLICE_EINVAL, (example){"allocWith", 3, {64, 3, 0}});
    check_refused(CSLICE_EINVAL, (example){"allocWith", 3, {64, 0, 0}});
    check_refused(CSLICE_EINVAL, (example){"allocGuarded", 2, {64, 3}});
    check_refused(CSLICE_EINVAL, (example){"allocGuarded", 2, {64, 0}});
    check_refused(CSLICE_EINVAL, (example){"adopt", 6, {0, 64, function, 0, 0, 1}});
    check_refused(CSLICE_EINVAL, (example){"adopt", 6, {data, 64, 0, 0, 0, 1}});
    check_refused(CSLICE_EINVAL, (example){"adopt", 6, {data, 64, function, 99, 0, 1}});
    check_refused(CSLICE_ENOMEM, (example){"adopt", 6, {data, 64, function, 0, 0, 0}});
    check_refused(CSLICE_EINVAL, (example){"adoptCallback", 3, {0, 64, 1}});
    check_refused(CSLICE_EINVAL, (example){"adoptCallback", 3, {data, 64, 0}});
    check_refused(CSLICE_ENOMEM, (example){"adoptCallback", 3, {data, 64, 1}});
    check_refused(CSLICE_EINVAL, (example){"take", 2, {BLOCK, 63}});
    check_refused(CSLICE_ENOVIEW, (example){"share", 3, {BLOCK, BYTES, 8}});
    check_refused(CSLICE_ENOVIEW, (example){"attach", 4, {BUFFER, 0, BYTES, 8}});
}

/* Blocks that a function cannot take, and no block at all. */
static void test_refused_blocks(void) {
    const int64_t data = (int64_t)ADDRESS(bytes), function = (int64_t)FUNCTION(end_ptr);
    open_module();
    prepare();
    CHECK(CALL("take", 0, 64) == NULL && CALL("refer", 0, BYTES, 8) == NULL);
    const void *home = prepared.block->home;
    prepared.block->home = NULL; /* as of another copy of the library */
    CHECK(CALL("take", BLOCK, 64) == NULL);
    CHECK_EQUAL(cells[RESULT], CSLICE_EINVAL);
    prepared.block->home = home;
    cslice_block_ref(prepared.block);
    CHECK(CALL("clone", BLOCK, 8, 0) == NULL); /* somebody else may write to it */
    CHECK_EQUAL(cells[RESULT], CSLICE_EINVAL);
    CHECK(CALL("clone", BLOCK, 8, 1) != NULL);
    CHECK(CALL("resize", BUFFER, BLOCK, 8) == NULL);
    CHECK_EQUAL(cells[RESULT], CSLICE_EINVAL);
    CHECK(CALL("disown", BUFFER, BLOCK) == NULL);
    CHECK_EQUAL(cells[RESULT], CSLICE_EINVAL);
    cslice_block_unref(prepared.block);
    prepared.buffer = CALL("adopt", data, 64, function, CSLICE_SIGNATURE_PTR, 0, 1);
    prepared.block = (cslice_block *)(uintptr_t)cells[RESULT];
    CHECK(CALL("clone", BLOCK, 8, 1) == NULL); /* how C allocated it is unknown */
    CHECK_EQUAL(cells[RESULT], CSLICE_EINVAL);
    close_module();
}

static void test_disown_of_what_is_kept(void) {
    for (int kept = 0; kept <= 1; kept++) {
        open_module();
        prepare();
        stays_attached = kept != 0;
        uint64_t before = counts().disowned_blocks;
        void *data = cslice_block_data(prepared.block);
        CALL("disown", BUFFER, BLOCK);
        CHECK_EQUAL(cells[RESULT], kept ? CSLICE_EINVAL : 0);
        CHECK_EQUAL(counts().disowned_blocks - before, kept ? 0 : 1);
        if (!kept) cslice__mem_free(data);
        stays_attached = false;
        close_module();
    }
}

static void test_no_memory(void) {
    for (int i = 0; i < EXAMPLES; i++) {
        for (uint64_t n = 1; n <= 4; n++) {
            open_module();
            prepare();
            if (strcmp(examples[i].name, "take") == 0) cslice_block_ref(prepared.block);
            cells[ADDRESS_OF_BYTES] = -1;
            cslice_test_fail_allocation(n);
            call(examples[i].name, examples[i].count, examples[i].arguments);
            cslice_test_fail_allocation(0);
            if (strcmp(examples[i].name, "disown") == 0 && cells[ADDRESS_OF_BYTES] != -1)
                cslice__mem_free((void *)(uintptr_t)cells[ADDRESS_OF_BYTES]);
            close_module();
        }
    }
}

static void test_bigint(void) {
    open_module();
    CHECK(CALL("alloc", BIG) != NULL);
    CHECK_EQUAL(((cslice_block *)(uintptr_t)cells[RESULT])->size, 64);
    close_module();
}

static void test_listening(void) {
    open_module();
    napi_value mailbox = CALL("listen", 0);
    CHECK(mailbox != NULL && CALL("listen", 0)->number == mailbox->number);
    CHECK(CALL("adoptCallback", (int64_t)ADDRESS(bytes), 64, 7) != NULL);
    wakes = 0;
    cslice_block_unref((cslice_block *)(uintptr_t)cells[RESULT]);
    values[value_count - 1].finalize = NULL; /* its reference has gone */
    CHECK_EQUAL(wakes, 1);
    CHECK(cells[DUE] == 1);
    napi_value number = CALL("cslice_due_next", (int64_t)mailbox->number);
    CHECK_EQUAL(number->number, 7);
    close_module();
}

/* The functions of cslice.h, with how many arguments each takes. */
static const example bound[] = {
    {"cslice_give_back", 5, {0}},
    {"cslice_unref", 1, {0}},
    {"cslice_blocks_renew", 2, {0}},
    {"cslice_due_next", 1, {0}},
    {"cslice_record_new", 2, {0}},
    {"cslice_references", 1, {0}},
    {"cslice_record_next", 1, {0}},
    {"cslice_record_of", 1, {0}},
    {"cslice_reuse_set", 1, {0}},
    {"cslice_record_references", 1, {0}},
    {"cslice_handles_table", 1, {0}},
    {"cslice_keeper_new", 5, {0}},
    {"cslice_keeper_free", 1, {0}},
    {"cslice_library_keep", 1, {0}},
    {"cslice_limit_set", 1, {0}},
    {"cslice_copy", 3, {0}},
    {"cslice_copy_in", 3, {0}},
    {"cslice_copy_out", 3, {0}},
    {"cslice_string_at", 1, {0}},
    {"cslice_string_size", 2, {0}},
    {"cslice_address_of", 1, {0}},
    {"cslice_statistics_get", 1, {0}},
    {"cslice_guard_set", 1, {0}},
    {"cslice_guard_note", 4, {0}},
    {"cslice_reuse_account", 0, {0}},
    {"cslice_test_fail_allocation", 1, {0}},
    {"cslice_count_failure", 0, {0}},
    {"cslice_keeper_function", 0, {0}},
    {"cslice_errno_address", 0, {0}},
    {"cslice_abi_version", 0, {0}},
    {"cslice_guard_rate_address", 0, {0}},
};

/* An argument that cannot be read, as in a thread that is ending, and one that is missing. */
static void test_bindings_that_are_not_called(void) {
    open_module();
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++) {
        const example *tried = &bound[i];
        for (size_t n = 0; n <= tried->count; n++) {
            int kept = value_count;
            arm((int)n + 1, true);
            CHECK(call(tried->name, tried->count, tried->arguments) == NULL);
            CHECK(disarm());
            if (n < tried->count) CHECK(call(tried->name, n, tried->arguments) == NULL);
            value_count = kept;
        }
    }
    close_module();
}

/* Results beyond 2^53 come as bigints, which are exact. */
static void test_large_results(void) {
    open_module();
    const int64_t largest = (int64_t)1 << 53, numbers[] = {largest, largest + 1, 1};
    cslice_block *block = NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        napi_value mailbox = CALL("listen", 0);
        CHECK_EQUAL(cslice__block_adopt(CSLICE__CALLBACK, bytes, 1, (uintptr_t)numbers[i], NULL,
                                        (cslice__mailbox *)(uintptr_t)mailbox->number, &block),
                    0);
        cslice_block_unref(block);
        napi_value number = CALL("cslice_due_next", (int64_t)mailbox->number);
        CHECK(number->number == (uint64_t)numbers[i]);
        CHECK_EQUAL(number->is_big, numbers[i] > largest);
    }
    close_module();
}

int main(void) {
    complete_examples();
    test_no_start();
    test_exports_that_fail();
    test_version_in_bun();
    test_before_open();
    test_open();
    test_every_call_may_fail();
    test_wrong_arguments();
    test_refusals();
    test_refused_blocks();
    test_disown_of_what_is_kept();
    test_no_memory();
    test_bigint();
    test_listening();
    test_bindings_that_are_not_called();
    test_large_results();
    return 0;
}
