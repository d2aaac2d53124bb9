/** Drops slices at two places and releases others; the warnings that come of it, as JSON. */
import { setTimeout as sleep } from 'node:timers/promises';
import { configure, Handle, Slice } from '../../../lib/index.ts';
import { collectUntil } from '../../helpers/collect.ts';

configure({ warn: 'collected' });
const warnings: { code: string; message: string }[] = [];
process.on('warning', (warning) => {
  warnings.push({ code: (warning as { code?: string }).code ?? '', message: warning.message });
});

function first(): void {
  for (let i = 0; i < 10; i++) Slice.alloc(100);
}

function second(): void {
  Slice.alloc(200).bytes[0] = 1;
}

function released(): Buffer {
  using slice = Slice.alloc(300);
  return slice.toBuffer();
}

function object(): void {
  Handle.adopt('database', 0x1000n, () => {});
}

first();
second();
released();
object();
await collectUntil(() => warnings.length >= 3, 'three warnings');
await sleep(20);
console.log(JSON.stringify(warnings));
