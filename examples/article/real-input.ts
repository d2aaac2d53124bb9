// The idea of the article on real input: C's zlib writes into a slice, and Node reads it there. Run with --expose-gc.

import { deepStrictEqual } from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { styleText } from 'node:util';
import { inflateSync } from 'node:zlib';
import { destructor, readString, Slice, stats } from 'cslice';
import koffi from 'koffi';

const c = koffi.load(null);

const colour = process.stdout.isTTY === true;
const paint = (style: 'bold' | 'green' | 'dim', text: string): string => (colour ? styleText(style, text) : text);
const title = (text: string): void => console.log(`\n${paint('bold', text)}`);

/** Collects until `done`: a collection need not find everything, and its callbacks run on the event loop. */
async function collectUntil(done: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !done(); turn++) {
    globalThis.gc?.();
    await nextTurn();
  }
  if (!done()) throw new Error('the garbage collector did not run');
}

const size_t = 'size_t';

/** Reads the start of the Node executable straight into C memory. */
function readInput(): Slice {
  const mebibyte = 2 ** 20;
  const file = openSync(process.execPath, 'r');
  const input = Slice.alloc(Math.min(statSync(process.execPath).size, 16 * mebibyte), { zero: false });
  for (let at = 0; at < input.byteLength; ) {
    at += readSync(file, input.bytes, at, input.byteLength - at, null);
  }
  closeSync(file);
  console.log(`read      ${input.byteLength} bytes of ${process.execPath} into C memory`);
  return input;
}

function compress(): void {
  const compressBound = c.func('unsigned long compressBound(unsigned long sourceLen)');
  const compress2 = c.func(
    'int compress2(void *dest, void *destLen, const void *source, unsigned long sourceLen, int level)',
  );
  using input = readInput();
  using output = Slice.alloc(Number(compressBound(input.byteLength)), { zero: false });
  using length = Slice.alloc(koffi.sizeof('unsigned long'));
  length.write('unsigned long', 0, output.byteLength);
  const status = compress2(output.address, length.address, input.address, input.byteLength, 1);
  if (status !== 0) throw new Error(`compress2 returned ${status}`);
  const compressed = output.bytes.subarray(0, length.read('unsigned long'));
  console.log(`compress2 ${compressed.length} bytes, written by C's zlib into a slice`);

  const unpacked = inflateSync(compressed);
  if (Buffer.compare(unpacked, input.bytes) !== 0) throw new Error('node:zlib found other bytes');
  console.log(`check     node:zlib unpacks them to the same ${unpacked.length} bytes`);

  const directory = mkdtempSync(join(tmpdir(), 'cslice-'));
  const path = join(directory, 'node.z');
  const file = openSync(path, 'w');
  for (let at = 0; at < compressed.length; ) at += writeSync(file, compressed, at);
  closeSync(file);
  deepStrictEqual(readFileSync(path), Buffer.from(compressed));
  rmSync(directory, { recursive: true });
  console.log('write     the C bytes are in a file, with no copy on the way');
}

/** A block that C allocated and expects its caller to free: the path of a file, resolved. */
function adoptRealPath(): void {
  const realpath = c.func('void *realpath(const char *path, void *resolved)');
  const address = realpath('.', null) as bigint;
  using path = Slice.adopt(address, Buffer.byteLength(readString(address)) + 1, destructor(c, 'free'));
  console.log(`realpath  ${path.text()}`);
}

/** The same with a buffer that grew inside C: a stream in memory. Dropped here, for the collector to give back. */
function adoptMemoryStream(): void {
  const open_memstream = c.func('void *open_memstream(void *pointer, void *size)');
  const fputs = c.func('int fputs(const char *text, void *stream)');
  const fclose = c.func('int fclose(void *stream)');
  using result = Slice.alloc(koffi.sizeof('void *') + koffi.sizeof(size_t));
  const sizeOffset = koffi.sizeof('void *');
  const stream = open_memstream(result.address, result.address + BigInt(sizeOffset));
  for (const line of ['a stream', ' in C', ' memory']) fputs(line, stream);
  fclose(stream);
  const memory = Slice.adopt(result.read('void *'), result.read(size_t, sizeOffset), destructor(c, 'free'));
  console.log(`memstream ${memory.byteLength} bytes: ${memory.text()}`);
}

function summarize(): void {
  const counts = stats();
  const rows: [string, number][] = [
    ['blocks allocated or adopted', counts.allocatedBlocks],
    ['released by scope', counts.releasedByScope],
    ['released by collection', counts.releasedByCollection],
    ['peak bytes', counts.peakBytes],
    ['blocks left', counts.liveBlocks],
    ['bytes left', counts.liveBytes],
  ];
  for (const [name, count] of rows) console.log(`${paint('dim', name.padEnd(28))}${String(count).padStart(12)}`);
  if (counts.liveBlocks !== 0) throw new Error('blocks are left');
  console.log(paint('green', 'nothing is left'));
}

title('Real input');
compress();
adoptRealPath();
adoptMemoryStream();
await collectUntil(() => stats().liveBlocks === 0);
title('What became of the memory');
summarize();
