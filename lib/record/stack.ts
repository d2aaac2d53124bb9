/**
 * Stacks as strings. Taken in full at once: an Error that is formatted later keeps alive what its frames were called on.
 */

/** Frames from the innermost out, as V8 prints them: `name (file:line:column)`. Equal stacks are one object. */
export interface Stack {
  readonly frames: readonly string[];
}

export const noStack: Stack = { frames: [] };
const tooMany: Stack = { frames: ['(one of too many different stacks)'] };

const mostStacks = 100_000;
const mostFrames = 64;
const stacks = new Map<string, Stack>();

/** Where the library's own code is. Its frames are left out. */
const ownFiles: RegExp = (() => {
  const here = import.meta.url;
  const folder = /\/lib\/record\/[^/]+$/.test(here) ? new URL('../', here).href : new URL('./', here).href;
  const path = decodeURI(folder).replace(/^file:\/\//, '');
  const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?:${quote(folder)}|${quote(path)})`);
})();

type Prepare = (error: Error, sites: NodeJS.CallSite[]) => unknown;

/** The one whose frames are read now. */
let wanted: object | undefined;
/** What was in the place of {@link prepare}. */
let before: PropertyDescriptor | undefined;

/** Only for a moment in the place of `Error.prepareStackTrace`. A timeout of `vm` may leave it there. */
const prepare: Prepare = (error, sites) => {
  if (error === wanted) return sites.map(String);
  const theirs: unknown = before?.value;
  if (typeof theirs === 'function') return Reflect.apply(theirs, Error, [error, sites]);
  return [String(error), ...sites.map((site) => `    at ${site}`)].join('\n');
};

function put(name: string, descriptor: PropertyDescriptor | undefined): boolean {
  return descriptor === undefined
    ? Reflect.deleteProperty(Error, name)
    : Reflect.defineProperty(Error, name, descriptor);
}

const ours: PropertyDescriptor = { value: prepare, writable: true, enumerable: true, configurable: true };

function limitOf(value: number): PropertyDescriptor {
  return { value, writable: true, enumerable: true, configurable: true };
}

/**
 * The frames of now. Runs no code of the user's: `Error.prepareStackTrace` is replaced meanwhile, by its descriptor. Where it
 * cannot be replaced there are no frames.
 */
function takeFrames(most: number): readonly string[] {
  const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  const theirs = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  if (theirs?.value !== prepare) before = theirs;
  if (!put('prepareStackTrace', ours)) return [];
  const isDeep = put('stackTraceLimit', limitOf(most));
  try {
    if (!isDeep && most === Infinity) return [];
    const target: { stack?: unknown } = {};
    wanted = target;
    Error.captureStackTrace(target, takeFrames);
    const { stack } = target;
    return Array.isArray(stack) ? stack : [];
  } finally {
    wanted = undefined;
    if (isDeep) put('stackTraceLimit', limit);
    put('prepareStackTrace', before);
  }
}

/** Whether the stack has a frame of these files, however deep; true where that cannot be known. Some 10 µs. */
export function isCalledFrom(files: RegExp): boolean {
  try {
    const frames = takeFrames(Infinity);
    return frames.length === 0 || frames.some((frame) => files.test(frame));
  } catch {
    return true;
  }
}

/** Never throws: where the stack is too deep for more, there are no frames. Some 10 to 30 µs. */
export function takeStack(): Stack {
  let frames: readonly string[];
  try {
    frames = takeFrames(mostFrames).filter(
      (frame) => !ownFiles.test(frame) && !/\(?node:|\(native|\(<anonymous>\)$/.test(frame),
    );
  } catch {
    return noStack;
  }
  const text = frames.join('\n');
  const known = stacks.get(text);
  if (known !== undefined) return known;
  if (stacks.size >= mostStacks) return tooMany;
  const stack = { frames };
  stacks.set(text, stack);
  return stack;
}
