/* platform.h for Windows 10 and later. */
#include "platform.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <malloc.h>
#define PSAPI_VERSION 2 /* in kernel32.dll */
#include <psapi.h>

_Static_assert(sizeof(cslice__mutex) == sizeof(SRWLOCK), "a mutex is an SRWLOCK");
_Static_assert(sizeof(cslice__condition) == sizeof(CONDITION_VARIABLE),
               "a condition is a CONDITION_VARIABLE");
_Static_assert(sizeof(cslice__once) == sizeof(INIT_ONCE), "a once is an INIT_ONCE");

bool cslice__mutex_open(cslice__mutex *mutex) {
    InitializeSRWLock((PSRWLOCK)mutex);
    return true;
}

void cslice__mutex_close(cslice__mutex *mutex) {
    (void)mutex; /* has nothing to give back */
}

void cslice__mutex_lock(cslice__mutex *mutex) {
    AcquireSRWLockExclusive((PSRWLOCK)mutex);
}

void cslice__mutex_unlock(cslice__mutex *mutex) {
    ReleaseSRWLockExclusive((PSRWLOCK)mutex);
}

void cslice__condition_wait(cslice__condition *condition, cslice__mutex *mutex) {
    SleepConditionVariableSRW((PCONDITION_VARIABLE)condition, (PSRWLOCK)mutex, INFINITE, 0);
}

void cslice__condition_tell(cslice__condition *condition) {
    WakeAllConditionVariable((PCONDITION_VARIABLE)condition);
}

static BOOL CALLBACK run_once(PINIT_ONCE once, PVOID function, PVOID *context) {
    (void)once;
    (void)context;
    ((void (*)(void))(uintptr_t)function)();
    return TRUE;
}

void cslice__once_run(cslice__once *once, void (*function)(void)) {
    InitOnceExecuteOnce((PINIT_ONCE)once, run_once, (PVOID)(uintptr_t)function, NULL);
}

static DWORD WINAPI run(LPVOID function) {
    ((void (*)(void))(uintptr_t)function)();
    return 0;
}

bool cslice__thread_start(cslice__thread_handle *thread, void (*function)(void)) {
    *thread = CreateThread(NULL, 0, run, (LPVOID)(uintptr_t)function, 0, NULL);
    return *thread != NULL;
}

void cslice__thread_join(cslice__thread_handle thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

unsigned cslice__process(void) {
    return GetCurrentProcessId();
}

bool cslice__is_output(cslice__file file) {
    return file == GetStdHandle(STD_OUTPUT_HANDLE) || file == GetStdHandle(STD_ERROR_HANDLE);
}

uint64_t cslice__socket_id(cslice__file file) {
    (void)file;
    return 0;
}

/* The executable first, which is Node where Node-API is looked for; then, for a Node that is a
   library of another program, whatever is loaded. */
void *cslice__symbol(const char *name) {
    FARPROC found = GetProcAddress(GetModuleHandleW(NULL), name);
    HMODULE modules[1024];
    DWORD bytes = 0;
    if (found == NULL && EnumProcessModules(GetCurrentProcess(), modules, sizeof modules, &bytes)) {
        size_t count = bytes < sizeof modules ? bytes / sizeof *modules : 1024;
        for (size_t i = 0; i < count && found == NULL; i++)
            found = GetProcAddress(modules[i], name);
    }
    return (void *)(uintptr_t)found;
}

bool cslice__keep_loaded(const void *address) {
    HMODULE module;
    return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                  GET_MODULE_HANDLE_EX_FLAG_PIN,
                              (LPCWSTR)address, &module) != 0;
}

void *cslice__aligned_alloc(size_t size, size_t alignment) {
    return _aligned_malloc(size, alignment);
}

void cslice__aligned_free(void *memory) {
    _aligned_free(memory);
}

/* Large pages take a privilege here that programs do not have. */
void cslice__advise_huge_pages(void *memory, size_t size) {
    (void)memory;
    (void)size;
}
