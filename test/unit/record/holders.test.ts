import { once } from 'node:events';
import { expect } from 'chai';
import { configure, Handle, heapProfile, leakReport, Slice, stats, withLabel } from '../../../lib/index.ts';
import { warnOfCollected } from '../../../lib/see/warning.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';

const kinds = (slice: Slice) => slice.holders().map(({ holder }) => holder);

describe('what is noted of the holders of a block', () => {
  afterEach(() => configure({ track: false, profile: false }));

  it('does not grow with holders that have ended', () => {
    configure({ track: true });
    using slice = Slice.alloc(64);
    for (let i = 0; i < 200; i++) slice.lease().release();
    using lease = slice.lease();
    expect(lease.address).to.equal(slice.address);
    expect(kinds(slice)).to.deep.equal(['slice', 'lease']);
  });

  it('needs no global that the program may have replaced', () => {
    const { performance } = globalThis;
    try {
      Object.defineProperty(globalThis, 'performance', { value: undefined, writable: true });
      using slice = withLabel('early', () => Slice.alloc(8));
      expect(stats({ by: 'label' })).to.deep.equal({ early: { liveBlocks: 1, liveBytes: slice.byteLength } });
    } finally {
      globalThis.performance = performance;
    }
  });

  it('names the class of each view, and the buffer itself', () => {
    configure({ track: true });
    using slice = Slice.alloc(64);
    const views = [slice.view(DataView), slice.view(Float64Array), slice.buffer];
    expect(views.length).to.equal(3);
    const types = slice.holders().map(({ type }) => type);
    expect(types).to.include.members(['DataView', 'Float64Array', 'ArrayBuffer']);
  });

  it('has stacks where a profile took a sample, and none of a block that was passed over', () => {
    configure({ profile: { sampleBytes: 1 } });
    using slice = Slice.alloc(64);
    using part = slice.subslice(0, 8);
    expect(part.byteLength).to.equal(8);
    expect(JSON.parse(heapProfile({ format: 'chrome' }) as unknown as string).head).to.be.an('object');
    configure({ profile: false });
    using labelled = withLabel('a label', () => Slice.alloc(32));
    using handle = withLabel('a label', () => Handle.adopt('thing', 0x1000n, () => {}));
    expect(handle.released).to.equal(false);
    expect(labelled.holders().every(({ stack }) => stack.length === 0)).to.equal(true);
    expect(stats({ by: 'label' })['a label']?.liveBytes).to.equal(32);
    expect(leakReport().text).to.include('Tracking is off');
  });

  it('is asked for by words that there are', () => {
    expectError(() => stats(wrong({ by: 5 })), 'ERR_CSLICE_TYPE', /by must be a string/);
    expectError(() => stats(wrong({ by: 'size' })), 'ERR_CSLICE_RANGE', /by must be 'label'/);
  });

  it('is in the warning of a block that was collected', async () => {
    const warned = once(process, 'warning');
    const site = { kind: 'alloc', label: 'a label', stack: { frames: ['work (/x.js:1:2)'] } };
    warnOfCollected(wrong(site), 8, undefined);
    const [{ message }] = await warned;
    expect(message).to.match(/^A block of 8 bytes \(alloc\) with the label "a label" was collected/);
    expect(message).to.match(/\n {4}at work \(\/x\.js:1:2\)$/);
  });
});
