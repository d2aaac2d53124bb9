/* A library that says it is cslice, of another time. */
#include <stdint.h>

uint32_t cslice_abi_version(void) {
    return 999;
}
