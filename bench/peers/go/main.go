// The article's newSlice: a Go slice over C memory that a finalizer frees. Prints nanoseconds for one, from its making
// to the end of its finalizer.
//
// Usage: main byteLength, with the milliseconds to measure for in CSLICE_BENCH_MS
package main

/*
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type cMemory struct {
	p unsafe.Pointer
	n int
}

type Slice struct {
	Data []byte
	data *cMemory
}

var freed int64

func newSlice(p unsafe.Pointer, n int) *Slice {
	data := &cMemory{p, n}
	runtime.SetFinalizer(data, func(data *cMemory) {
		C.free(data.p)
		atomic.AddInt64(&freed, 1)
	})
	s := &Slice{data: data}
	h := (*reflect.SliceHeader)(unsafe.Pointer(&s.Data))
	h.Cap = n
	h.Len = n
	h.Data = uintptr(p)
	return s
}

var sink *Slice

func makeMany(count, byteLength int) {
	for i := 0; i < count; i++ {
		sink = newSlice(C.malloc(C.size_t(byteLength)), byteLength)
	}
	sink = nil
}

// Go's collector does not know C's bytes, so a program of large blocks has to call it by hand.
func sample(count, byteLength int) {
	expected := atomic.LoadInt64(&freed) + int64(count)
	const most = 256 << 20
	step := count
	if step*byteLength > most {
		step = most / byteLength
	}
	for made := 0; made < count; made += step {
		if made+step > count {
			step = count - made
		}
		makeMany(step, byteLength)
		if step != count {
			runtime.GC()
		}
	}
	for atomic.LoadInt64(&freed) < expected {
		runtime.GC()
		runtime.Gosched()
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return n
}

func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	byteLength := number(os.Args[1])
	budget := time.Duration(number(os.Getenv("CSLICE_BENCH_MS"))) * time.Millisecond
	count := 100000
	if byteLength >= 1<<20 {
		count = 2000
	}
	sample(count, byteLength)
	operations := 0
	start, processor := time.Now(), processorTime()
	for time.Since(start) < budget {
		sample(count, byteLength)
		operations += count
	}
	value := float64(time.Since(start).Nanoseconds()) / float64(operations)
	cpu := float64(processorTime()-processor) / float64(operations)
	fmt.Printf("{\"value\": %g, \"details\": {\"cpu\": %g, \"operations\": %d}}\n", value, cpu, operations)
}
