"""Owned C memory by Python's cffi, in its compiled mode, which is its fastest. CPython frees at the last reference.

Usage: peer.py --build directory
       peer.py own|view byteLength, with the directory in CSLICE_BENCH_CFFI
"""

import json
import os
import sys
import time

MODULE = "_bench_libc"


def build(directory):
    from cffi import FFI

    builder = FFI()
    builder.cdef("void *malloc(size_t size); void free(void *memory);")
    builder.set_source(MODULE, "#include <stdlib.h>")
    builder.compile(tmpdir=directory)


def own(ffi, lib, size, count):
    gc, malloc, free = ffi.gc, lib.malloc, lib.free
    for _ in range(count):
        gc(malloc(size), free)


def view(ffi, lib, size, count):
    gc, malloc, free, buffer = ffi.gc, lib.malloc, lib.free, ffi.buffer
    for _ in range(count):
        buffer(gc(malloc(size), free), size)


def measure(work, size):
    module = __import__(MODULE)
    batch, operations = 1000, 0
    work(module.ffi, module.lib, size, 20 * batch)
    budget = int(os.environ.get("CSLICE_BENCH_MS", "500")) * 1_000_000
    start, processor = time.perf_counter_ns(), time.process_time_ns()
    while time.perf_counter_ns() - start < budget:
        work(module.ffi, module.lib, size, batch)
        operations += batch
    cpu = (time.process_time_ns() - processor) / operations
    return {"value": (time.perf_counter_ns() - start) / operations, "details": {"cpu": cpu, "operations": operations}}


if sys.argv[1] == "--build":
    build(sys.argv[2])
else:
    sys.path.insert(0, os.environ["CSLICE_BENCH_CFFI"])
    print(json.dumps(measure({"own": own, "view": view}[sys.argv[1]], int(sys.argv[2]))))
