/* fault.h for Windows 10 and later. */
#include "fault.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

size_t cslice__page_size(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

void *cslice__pages_reserve(size_t size) {
    return VirtualAlloc(NULL, size, MEM_RESERVE, PAGE_NOACCESS);
}

bool cslice__pages_open(void *pages, size_t size) {
    return VirtualAlloc(pages, size, MEM_COMMIT, PAGE_READWRITE) != NULL;
}

bool cslice__pages_shut(void *pages, size_t size) {
    return VirtualFree(pages, size, MEM_DECOMMIT);
}

void cslice__pages_free(void *pages, size_t size) {
    (void)size;
    VirtualFree(pages, 0, MEM_RELEASE);
}

static cslice__fault_function *watcher;
static LONG asked;

static LONG CALLBACK on_exception(PEXCEPTION_POINTERS exception) {
    const EXCEPTION_RECORD *record = exception->ExceptionRecord;
    if (record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION && record->NumberParameters >= 2) {
        cslice__fault fault = {
            .name = "EXCEPTION_ACCESS_VIOLATION",
            .address = (const char *)record->ExceptionInformation[1],
            .code = record->ExceptionAddress,
            .access = record->ExceptionInformation[0] == 1 ? CSLICE__WRITTEN : CSLICE__READ,
        };
        while (InterlockedExchange(&asked, 1) != 0) Sleep(1);
        watcher(&fault);
        InterlockedExchange(&asked, 0);
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

bool cslice__faults_watch(cslice__fault_function *function) {
    if (watcher != NULL) return true;
    watcher = function;
    return AddVectoredExceptionHandler(1, on_exception) != NULL;
}

/* Windows handles exceptions on the stack where they happen. */
void cslice__fault_stack_open(void) {}

void cslice__fault_stack_close(void) {}

const char *cslice__free_code(void) {
    return NULL;
}

void cslice__error_write(const char *text, size_t size) {
    DWORD written;
    DWORD saved = GetLastError();
    while (size > 0 &&
           WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)size, &written, NULL) &&
           written > 0) {
        text += written;
        size -= written;
    }
    SetLastError(saved);
}
