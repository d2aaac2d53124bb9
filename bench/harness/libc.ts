/** The file name of the C library, for foreign function interfaces that cannot search the process. */
export const libcName: string = process.platform === 'darwin' ? 'libSystem.B.dylib' : 'libc.so.6';
