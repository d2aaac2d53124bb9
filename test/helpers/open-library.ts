import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

type Library = ReturnType<typeof koffi.load>;

/**
 * Node 22 and later export their own copies of SQLite and zstd, to which the library's inner calls must not go.
 * AddressSanitizer refuses libraries that are loaded so.
 */
const deep = process.env.CSLICE_REPORTS === undefined;

function tryToLoad(names: readonly string[]): Library | undefined {
  for (const name of names) {
    try {
      return koffi.load(name, { deep });
    } catch {} // the next name, or an installation
  }
  return undefined;
}

/** A library of the system, installed where it is missing. Undefined, with a loud message, where that is impossible. */
export function openLibrary(names: readonly string[], packageName: string): Library | undefined {
  const found = tryToLoad(names);
  if (found !== undefined) return found;
  try {
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', packageName], { stdio: 'ignore' });
  } catch {} // the message below tells
  const installed = tryToLoad(names);
  if (installed === undefined)
    console.error(`SKIPPED: ${names[0]} is missing, and apt-get install ${packageName} failed`);
  return installed;
}
