/* Codes and their messages, from one table, so that neither can miss the other. */
#include "cslice.h"

const char *cslice_status_message(int32_t status) {
    switch (status) {
    case 0: return "success";
#define X(name, value, message)                                                                    \
    case CSLICE_##name: return message;
        CSLICE_STATUS_MAP(X)
#undef X
    default: return "unknown status";
    }
}

uint32_t cslice_abi_version(void) {
    return CSLICE_ABI_VERSION;
}
