// The same data without a copy: a slice over C's own bytes. Go: unsafe.Slice((*byte)(data), size).
import { func, Slice } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const strdup = func(c, 'void *strdup(const char *text)');
const free = func(c, 'void free(void *memory)');

const address = strdup('data of C') as bigint;
{
  using borrowed = Slice.borrow(address, 'data of C'.length);
  borrowed.bytes[0] = 'D'.charCodeAt(0); // C sees this
  console.log('borrowed:', borrowed.text());
} // the view ends here; borrowing frees nothing
free(address);
