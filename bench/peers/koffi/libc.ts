import koffi from 'koffi';

const libc = koffi.load(null);

// Addresses as integers: koffi passes them faster than pointers, which are bigints.
export const malloc: (size: number) => number = libc.func('uint64_t malloc(uint64_t size)');
export const free: (address: number) => void = libc.func('void free(uint64_t address)');
