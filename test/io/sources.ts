/** Where the bytes of a cell come from, and what may happen to them while an operation is under way. */
import { Arena, destructor, Pool, Slice } from 'cslice';
import type { Bytes } from './consumer.ts';
import type { FreedMemory } from './freed.ts';

export const events = [
  'nothing',
  'dropped',
  'released at once',
  'released in the next turn',
  'released after 1 ms',
  'released after 20 ms',
  'resized',
  'returned and rented again',
  'pool released',
  'thread ended',
] as const;
export type Event = (typeof events)[number];

/** A cell's hold on its memory. Letting go of it is dropping it. */
export interface Held {
  /** What the consumer is given. */
  readonly bytes: Bytes;
  /** What happens in the middle. */
  act(event: Event): void;
}

export interface Source {
  readonly name: string;
  readonly events: readonly Event[];
  /** Whether every byte arrives whatever happens. Where it is false, bytes may be missing after a release. */
  readonly whole: boolean;
  /** Memory that may refuse to be moved away. */
  readonly mayRefuse?: boolean;
  make(content: Bytes, freed: FreedMemory | undefined): Held;
}

const ends: readonly Event[] = [
  'dropped',
  'released at once',
  'released in the next turn',
  'released after 1 ms',
  'released after 20 ms',
];
const returns: readonly Event[] = ['dropped', 'returned and rented again', 'pool released'];
const slices: readonly Event[] = [...ends, 'resized', 'thread ended'];

/** Bytes that nobody may ever deliver: what the next user of the memory has there. */
export const stranger = 0xee;

function isReleased(event: Event): boolean {
  return event.startsWith('released');
}

type View = (slice: Slice) => Bytes;

const viewed: View = (slice) => slice.bytes;
const buffered: View = (slice) => slice.toBuffer() as Bytes;

function filled(slice: Slice, content: Bytes): Slice {
  slice.bytes.set(content);
  return slice;
}

/** A handle that is filled, and from then on has no other view than the one that it gives. */
function hold(slice: Slice, view: View): Held {
  return {
    bytes: view(slice),
    act(event) {
      if (isReleased(event)) slice.release();
      else if (event === 'resized') slice.resize(Math.ceil(slice.byteLength / 2));
    },
  };
}

function ofSlice(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: slices,
    whole,
    make: (content) => hold(filled(Slice.alloc(content.byteLength), content), view),
  };
}

function ofSubslice(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: ends,
    whole,
    make(content) {
      using whole = Slice.alloc(content.byteLength + 64);
      return hold(filled(whole.subslice(32, 32 + content.byteLength), content), view);
    },
  };
}

function ofAdopted(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: ends,
    whole,
    make(content, freed) {
      if (freed === undefined) throw new Error('adopted memory needs the library of freed.c');
      const slice = Slice.adopt(
        freed.make(content.byteLength),
        content.byteLength,
        destructor(freed.library, 'freed_end'),
      );
      return hold(filled(slice, content), view);
    },
  };
}

function ofPool(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: returns,
    whole,
    mayRefuse: true,
    make(content) {
      const pool = new Pool({ byteLength: content.byteLength, capacity: 3 });
      const slice = filled(pool.rent(), content);
      return {
        bytes: view(slice),
        act(event) {
          if (event === 'dropped') return;
          slice.release();
          if (event === 'pool released') pool.release();
          else for (const other of [pool.rent(), pool.rent()]) other.bytes.fill(stranger);
        },
      };
    },
  };
}

const arena: Source = {
  name: "an arena's view",
  events: ends,
  whole: false,
  mayRefuse: true,
  make(content) {
    const arena = new Arena();
    arena.alloc(16);
    const bytes = arena.alloc(content.byteLength);
    bytes.set(content);
    return {
      bytes,
      act(event) {
        if (isReleased(event)) arena.release();
      },
    };
  },
};

/** Memory of JavaScript, which proves the consumers: everything arrives. */
const buffer: Source = {
  name: 'a Buffer',
  events: ['nothing', 'dropped'],
  whole: true,
  make(content) {
    const bytes = Buffer.allocUnsafeSlow(content.byteLength) as Bytes;
    bytes.set(content);
    return { bytes, act() {} };
  },
};

export const sources: readonly Source[] = [
  buffer,
  ofSlice('slice.toBuffer()', buffered, true),
  ofSlice('slice.bytes', viewed, false),
  ofSubslice('toBuffer() of a subslice', buffered, true),
  ofSubslice('bytes of a subslice', viewed, false),
  ofAdopted('toBuffer() of adopted memory', buffered, true),
  ofAdopted('bytes of adopted memory', viewed, false),
  ofPool("toBuffer() of a pool's slice", buffered, true),
  ofPool("bytes of a pool's slice", viewed, false),
  arena,
];
