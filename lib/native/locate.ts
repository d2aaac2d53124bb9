import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CSliceError } from '../errors.ts';

/** This file, or the one that the build makes of all. A bundler that makes CommonJS of it leaves nothing. */
const here: string | undefined = import.meta.url;

/** The package's directory. */
const root =
  here === undefined ? '' : fileURLToPath(new URL(/\/native\/locate\.[jt]s$/.test(here) ? '../../' : '../', here));

/** Whether these are the package's own files, beside which its sources and libraries are. */
const isWhole = root !== '' && existsSync(`${root}CMakePresets.json`);
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

const chosen = process.env.CSLICE_LIBRARY;

/** Where the shared library may be, in the order in which it is looked for. */
function candidates(): string[] {
  if (chosen !== undefined && chosen !== '') return [chosen];
  if (root === '') return [];
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
  const looked = paths.length === 0 ? '' : ` Looked for:${paths.map((path) => `\n  ${path}`).join('')}`;
  const message = `The C library of cslice for ${platform}${libc()} ${problem}.${looked}\n${remedy()}`;
  return new CSliceError('ERR_CSLICE_LIBRARY', message, { cause });
}

function remedy(): string {
  const outside = 'leave cslice and koffi out of the bundle, and install them beside it.';
  if (root === '') return `cslice is in a bundle: ${outside}`;
  const named = chosen === undefined || chosen === '' ? '' : 'The environment variable CSLICE_LIBRARY names it.\n';
  const bundle = isWhole ? '' : `If this is a bundle, ${outside} Else\n`;
  const build = `cd ${root} && cmake --preset release && cmake --build --preset release`;
  return `${named}${bundle}Build it with: ${build}\nIt takes CMake and a C compiler.`;
}

/** The error for a library that is there and that the dynamic loader, or koffi, refuses. */
export function cannotBeLoaded(cause: unknown): CSliceError {
  return libraryError(`cannot be loaded (${(cause as Error).message})`, [libraryPath], cause);
}

export const libraryPath: string = locate();
