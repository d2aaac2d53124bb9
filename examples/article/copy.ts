// Bytes copied between JavaScript and C memory. Go: C.memcpy(dst, unsafe.Pointer(&src[0]), n).
import { copy, Slice } from 'cslice';

using destination = Slice.alloc(12);
copy(destination, Buffer.from('hello world!'));
console.log('copy:', destination.text());
