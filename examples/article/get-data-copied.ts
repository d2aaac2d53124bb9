// Data of a C function, copied into JavaScript memory and freed in C. Go: C.GoBytes(data, size); C.free(data).
import { copyBytes, func, readString } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);
const strdup = func(c, 'void *strdup(const char *text)');
const free = func(c, 'void free(void *memory)');

const address = strdup('data of C') as bigint;
const bytes = copyBytes(address, 'data of C'.length);
console.log('copied:', bytes.length, 'bytes:', readString(address));
free(address);
console.log('copied: after free():', Buffer.from(bytes).toString());
