/** In a process of its own: a reader that follows the pointer member dies of it. */
import koffi from 'koffi';
import { Slice } from '../../lib/index.ts';

const value = koffi.union({ i: 'int64_t', text: 'char *' });
using slice = Slice.alloc(8);
slice.write(value, 0, { i: 5 });
console.log(slice.read(value).i);
