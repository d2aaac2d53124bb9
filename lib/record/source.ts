/** Frames as a reader wants them: named, and with the place in the source that was written. */
import { readFileSync } from 'node:fs';
import { findSourceMap, SourceMap } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Stack } from './stack.ts';

/**
 * A place in a program: of the source that was written, where there is a source map.
 *
 * @example
 * configure({ track: true });
 * using slice = Slice.alloc(64);
 * const place: cslice.Frame | undefined = slice.holders()[0]?.stack[0];
 * console.log(place?.file, place?.line);
 */
export interface Frame {
  /** Of the function, as V8 prints it. */
  readonly name: string;
  /** A path where it is a file. */
  readonly file: string;
  /** From 1; 0: unknown. */
  readonly line: number;
  /** From 1; 0: unknown. */
  readonly column: number;
}

const maps = new Map<string, SourceMap | undefined>();

/** Reads a map that Node has not loaded, since source maps were not enabled when the file was. */
function readMap(path: string): SourceMap | undefined {
  const text = readFileSync(path, 'utf8');
  const [, url] = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(text.slice(-(1 << 20))) ?? [];
  if (url === undefined) return undefined;
  const data = /^data:[^,]*;base64,(.*)$/.exec(url);
  const map = data === null ? readFileSync(resolve(dirname(path), decodeURI(url)), 'utf8') : atob(data[1] ?? '');
  return new SourceMap(JSON.parse(map));
}

function mapOf(file: string, path: string): SourceMap | undefined {
  if (!maps.has(file)) {
    let map: SourceMap | undefined;
    try {
      map = findSourceMap(file) ?? findSourceMap(path) ?? readMap(path);
    } catch {
      // no map, or none that can be read: the frame stays as it is
    }
    maps.set(file, map);
  }
  return maps.get(file);
}

function pathOf(file: string): string {
  try {
    return file.startsWith('file:') ? fileURLToPath(file.replace(/\?.*$/, '')) : file;
  } catch {
    return file;
  }
}

function mapped(name: string, file: string, line: number, column: number): Frame {
  const path = pathOf(file);
  const origin = mapOf(file, path)?.findEntry(line - 1, column - 1);
  if (origin === undefined || !('originalSource' in origin) || typeof origin.originalSource !== 'string') {
    return { name, file: path, line, column };
  }
  const { originalSource, originalLine, originalColumn } = origin;
  const source = /^[a-z]+:\/\//i.test(originalSource) ? pathOf(originalSource) : resolve(dirname(path), originalSource);
  return { name, file: source, line: originalLine + 1, column: originalColumn + 1 };
}

/** A frame as V8 prints it. */
function parse(text: string): Frame {
  const [, name, inside, alone] = /^(?:(.*) \((.*)\)|(.*))$/.exec(text) ?? [];
  const where = inside ?? alone ?? text;
  const [, file, line, column] = /^(.*):(\d+):(\d+)$/.exec(where) ?? [];
  const plain = (name ?? alone ?? '(anonymous)').replace(/^async /, '');
  if (file === undefined) return { name: name?.replace(/^async /, '') ?? where, file: '', line: 0, column: 0 };
  return mapped(name === undefined ? '(anonymous)' : plain, file.replace(/^async /, ''), Number(line), Number(column));
}

const framesOf = new WeakMap<Stack, readonly Frame[]>();

/** The frames of a stack, from the innermost out. The first look at a file reads its source map. */
export function readStack(stack: Stack): readonly Frame[] {
  let frames = framesOf.get(stack);
  if (frames === undefined) {
    frames = stack.frames.map(parse);
    framesOf.set(stack, frames);
  }
  return frames;
}

/** `name (file:line:column)`. */
export function showFrame({ name, file, line, column }: Frame): string {
  return file === '' ? name : `${name} (${file}:${line}:${column})`;
}

/** The same as a line of a report, as V8 prints stacks. */
export function lineOf(frame: Frame): string {
  return `    at ${showFrame(frame)}`;
}
