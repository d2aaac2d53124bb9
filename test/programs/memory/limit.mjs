// What an allocation does that would pass the limit: collect and go on where handles were dropped, throw where not.
import { configure, Slice, stats } from 'cslice';

const [limitMebibytes, count] = [Number(process.argv[2]), Number(process.argv[3])];
const megabyte = 1 << 20;
configure({ limitBytes: limitMebibytes * megabyte });

const uses = [
  () => {
    Slice.alloc(megabyte, { zero: false }).bytes[0] = 1;
  },
  () => {
    Slice.alloc(megabyte, { zero: false });
  },
  () => {
    Slice.alloc(megabyte / 4);
  },
];
for (let i = 0; i < count; i++) uses[i % uses.length]();
const { peakBytes } = stats();

const held = [];
let code = 'nothing thrown';
try {
  while (held.length <= limitMebibytes) held.push(Slice.alloc(megabyte, { zero: false }));
} catch (error) {
  code = error.code;
}
const mostHeld = held.length;
for (const slice of held) slice.release();
const again = Slice.alloc(megabyte).released;

const constrained = process.constrainedMemory?.() ?? 0;
configure({ limitBytes: { fractionOfMemory: 0.25 } });
const fraction = Slice.alloc(megabyte).released;
const peakMebibytesLive = peakBytes / megabyte;
console.log(JSON.stringify({ dropped: count, peakMebibytesLive, code, mostHeld, again, fraction, constrained }));
