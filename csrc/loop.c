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
    int64_t sockets;
    bool some_hidden;
} census;

static void visit(void *handle, void *data) {
    census *all = data;
    int type = uv.type(handle);
    if ((type != TCP && type != NAMED_PIPE) || uv.is_closing(handle)) return;
    if (!uv.is_readable(handle) && !uv.is_writable(handle))
        return; /* it listens, or is not connected */
    cslice__file file;
    if (type == NAMED_PIPE && uv.fileno(handle, &file) == 0 &&
        (cslice__is_standard(file) || (intptr_t)file == all->channel))
        return;
    all->sockets++;
    if (!uv.is_active(handle) || !uv.has_ref(handle)) all->some_hidden = true;
}

int64_t cslice__loop_sockets(void *loop, uint32_t channel) {
    static cslice__once once = CSLICE__ONCE_INIT;
    cslice__once_run(&once, find);
    if (!found) return -1;
    census all = {channel, 0, false};
    uv.walk(loop, visit, &all);
    return all.some_hidden ? -all.sockets : all.sockets;
}
