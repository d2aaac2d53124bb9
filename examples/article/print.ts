// Text on C's stdout. Go: cs := C.CString(text); defer C.free(unsafe.Pointer(cs)); C.fputs(cs, C.stdout).
import { func, Slice } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const printf = func(c, 'int printf(const char *format, const char *text)');
const fflush = func(c, 'int fflush(void *stream)');

/** Prints by a C string that is freed at the end of the scope. `func()` takes JavaScript strings too, and copies them. */
export function print(text: string): void {
  using copy = Slice.fromString(text);
  printf('%s', copy);
  fflush(null); // so that it comes in order with console.log
}

print('print: Hello from C\n');
