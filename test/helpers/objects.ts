import koffi from 'koffi';
import { compile } from './fixture.ts';

let library: ReturnType<typeof koffi.load> | undefined;
let path: string | undefined;

/** The path of the library of objects.c. */
export function objectsPath(): string {
  path ??= compile('objects.c', 'objects.so', ['-pthread']);
  return path;
}

/** The library of objects.c. */
export function objects(): ReturnType<typeof koffi.load> {
  library ??= koffi.load(objectsPath());
  return library;
}

/** The names of the objects that have been freed since the last call, in order. */
export function freed(): string {
  const names = Buffer.alloc(4096);
  const count = objects().func('size_t obj_freed(_Out_ char *names, size_t size)')(names, names.length) as number;
  return names.toString('latin1', 0, count);
}
