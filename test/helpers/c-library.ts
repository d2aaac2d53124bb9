import koffi from 'koffi';

/** The functions of C's own library. Those of a process of Windows are its alone. */
export const c: ReturnType<typeof koffi.load> = koffi.load(process.platform === 'win32' ? 'ucrtbase.dll' : null);
