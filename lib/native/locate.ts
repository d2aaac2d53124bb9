import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CSliceError } from '../errors.ts';

/** The package's directory, from this file, or from the one that the build makes of all. */
const root = fileURLToPath(
  new URL(/\/native\/locate\.[jt]s$/.test(import.meta.url) ? '../../' : '../', import.meta.url),
);
const platform = `${process.platform}-${process.arch}`;

/** The C library of the process, on Linux. Looked up for an error alone, since the report takes milliseconds. */
function libc(): string {
  if (process.platform !== 'linux') return '';
  try {
    const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return header?.glibcVersionRuntime === undefined ? ' (musl)' : ` (glibc ${header.glibcVersionRuntime})`;
  } catch {
    return ''; // a runtime without reports
  }
}

const fileNames: Partial<Record<NodeJS.Platform, string>> = { win32: 'cslice.dll', darwin: 'libcslice.dylib' };
const fileName = fileNames[process.platform] ?? 'libcslice.so';

/** Where the shared library may be, in the order in which it is looked for. */
function candidates(): string[] {
  const chosen = process.env.CSLICE_LIBRARY;
  if (chosen !== undefined && chosen !== '') return [chosen];
  return [`${root}prebuilds/${platform}/${fileName}`, `${root}build/release/${fileName}`];
}

/** @throws {CSliceError} `ERR_CSLICE_LIBRARY` with every path that was tried and the command that builds the library */
export function locate(): string {
  const paths = candidates();
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw libraryError('was not found', paths);
  return found;
}

export function libraryError(problem: string, paths: string[], cause?: unknown): CSliceError {
  const looked = paths.map((path) => `\n  ${path}`).join('');
  return new CSliceError(
    'ERR_CSLICE_LIBRARY',
    `The C library of cslice for ${platform}${libc()} ${problem}. Looked for:${looked}\n` +
      `Build it with: cd ${root} && cmake --preset release && cmake --build --preset release\n` +
      'It takes CMake and a C compiler. Of a bundled program, leave cslice and koffi out of the bundle.',
    { cause },
  );
}

/** The error for a library that is there and that the dynamic loader, or koffi, refuses. */
export function cannotBeLoaded(cause: unknown): CSliceError {
  return libraryError(`cannot be loaded (${(cause as Error).message})`, [libraryPath], cause);
}

export const libraryPath: string = locate();
