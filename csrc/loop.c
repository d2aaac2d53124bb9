/* What libuv's event loop holds, by its public functions, which are found in the running process. */
#include "node_api.h"
#include "platform.h"

enum { NAMED_PIPE = 7, TCP = 12 }; /* of uv_handle_type */

static struct {
    void (*walk)(void *loop, void (*visit)(void *handle, void *data), void *data);
    int (*type)(const void *handle);
    int (*is_active)(const void *handle);
    int (*is_closing)(const void *handle);
    int (*has_ref)(const void *handle);
    int (*is_readable)(const void *handle);
    int (*is_writable)(const void *handle);
    int (*fileno)(const void *handle, cslice__file *file);
} uv;

static bool found;

static void find(void) {
    static const cslice__wanted functions[] = {
        {"uv_walk", &uv.walk},
        {"uv_handle_get_type", &uv.type},
        {"uv_is_active", &uv.is_active},
        {"uv_is_closing", &uv.is_closing},
        {"uv_has_ref", &uv.has_ref},
        {"uv_is_readable", &uv.is_readable},
        {"uv_is_writable", &uv.is_writable},
        {"uv_fileno", &uv.fileno},
    };
    found = cslice__find_functions(functions, sizeof functions / sizeof *functions);
}

typedef struct census {
    intptr_t channel;
    const cslice__early *early;
    int64_t sockets;
    bool some_hidden;
} census;

static bool is_connected(void *handle) {
    int type = uv.type(handle);
    if ((type != TCP && type != NAMED_PIPE) || uv.is_closing(handle)) return false;
    return uv.is_readable(handle) || uv.is_writable(handle); /* else it listens, for example */
}

static bool is_hidden(void *handle) {
    return !uv.is_active(handle) || !uv.has_ref(handle);
}

static bool is_early(cslice__file file, const cslice__early *early) {
    uint64_t id = early->count == 0 ? 0 : cslice__socket_id(file);
    for (size_t i = 0; id != 0 && i < early->count; i++)
        if (early->ids[i] == id) return true;
    return false;
}

static void visit(void *handle, void *data) {
    census *all = data;
    if (!is_connected(handle)) return;
    cslice__file file;
    bool hidden = is_hidden(handle);
    if (uv.fileno(handle, &file) == 0) {
        if (uv.type(handle) == NAMED_PIPE &&
            (cslice__is_output(file) || (intptr_t)file == all->channel))
            return;
        if (hidden && is_early(file, all->early)) return;
    }
    all->sockets++;
    if (hidden) all->some_hidden = true;
}

static bool find_once(void) {
    static cslice__once once = CSLICE__ONCE_INIT;
    cslice__once_run(&once, find);
    return found;
}

int64_t cslice__loop_sockets(void *loop, uint32_t channel, const cslice__early *early) {
    if (!find_once()) return -1;
    census all = {channel, early, 0, false};
    uv.walk(loop, visit, &all);
    return all.some_hidden ? -all.sockets : all.sockets;
}

static void note(void *handle, void *data) {
    cslice__early *early = data;
    cslice__file file;
    if (early->count == sizeof early->ids / sizeof *early->ids || !is_connected(handle) ||
        !is_hidden(handle) || uv.fileno(handle, &file) != 0)
        return;
    uint64_t id = cslice__socket_id(file);
    if (id != 0) early->ids[early->count++] = id;
}

void cslice__loop_note(void *loop, cslice__early *early) {
    if (find_once()) uv.walk(loop, note, early);
}
