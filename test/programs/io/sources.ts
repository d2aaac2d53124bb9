/** Where the bytes of a cell come from, and what may happen to them while an operation is under way. */
import { pipeline, type Writable } from 'node:stream';
import { Arena, destructor, Pool, readable, Slice } from 'cslice';
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
  /** What happens in the middle. */
  act(event: Event): void;
}

/** The operation, as a source sees it. */
export interface Use {
  /** Starts it. */
  start(bytes: Bytes): void;
  /** Settles when it is over. */
  readonly finished: Promise<void>;
  over(error?: unknown): void;
  /** Where the consumer is a stream and the source asks for one. */
  readonly writable?: Writable;
}

export interface Source {
  readonly name: string;
  readonly events: readonly Event[];
  /** Whether every byte arrives whatever happens. Where it is false, bytes may be missing after a release. */
  readonly whole: boolean;
  /** Memory that may refuse to be moved away. */
  readonly mayRefuse?: boolean;
  /** Writes to a stream by itself. */
  readonly writes?: boolean;
  make(content: Bytes, use: Use, freed: FreedMemory | undefined): Held;
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
function hold(slice: Slice, view: View, { start }: Use): Held {
  start(view(slice));
  return {
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
    make: (content, use) => hold(filled(Slice.alloc(content.byteLength), content), view, use),
  };
}

function ofSubslice(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: ends,
    whole,
    make(content, use) {
      using whole = Slice.alloc(content.byteLength + 64);
      return hold(filled(whole.subslice(32, 32 + content.byteLength), content), view, use);
    },
  };
}

function ofAdopted(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: ends,
    whole,
    make(content, use, freed) {
      if (freed === undefined) throw new Error('adopted memory needs the library of freed.c');
      const slice = Slice.adopt(
        freed.make(content.byteLength),
        content.byteLength,
        destructor(freed.library, 'freed_end'),
      );
      return hold(filled(slice, content), view, use);
    },
  };
}

function ofPool(name: string, view: View, whole: boolean): Source {
  return {
    name,
    events: returns,
    whole,
    mayRefuse: true,
    make(content, { start }) {
      const pool = new Pool({ byteLength: content.byteLength, capacity: 3 });
      const slice = filled(pool.rent(), content);
      start(view(slice));
      return {
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
  make(content, { start }) {
    const arena = new Arena();
    arena.alloc(16);
    const bytes = arena.alloc(content.byteLength);
    bytes.set(content);
    start(bytes);
    return {
      act(event) {
        if (isReleased(event)) arena.release();
      },
    };
  },
};

/** Memory of JavaScript, which proves the consumers: everything arrives. */
const buffer: Source = {
  name: 'a Buffer',
  events: ['nothing', 'dropped', 'thread ended'],
  whole: true,
  make(content, { start }) {
    const bytes = Buffer.allocUnsafeSlow(content.byteLength) as Bytes;
    bytes.set(content);
    start(bytes);
    return { act() {} };
  },
};

function released(slice: Slice): Held {
  return {
    act(event) {
      if (isReleased(event)) slice.release();
    },
  };
}

const lent: Source = {
  name: 'slice.lend()',
  events: ends,
  whole: true,
  mayRefuse: true,
  make(content, { start, finished, over }) {
    const slice = filled(Slice.alloc(content.byteLength), content);
    const use = (bytes: Bytes): Promise<void> => {
      start(bytes);
      return finished;
    };
    slice.lend(use).catch(over);
    return released(slice);
  },
};

const written: Source = {
  name: 'slice.writeTo()',
  events: ends,
  whole: true,
  writes: true,
  make(content, { writable, over }) {
    const slice = filled(Slice.alloc(content.byteLength), content);
    if (writable === undefined) throw new Error('no stream');
    slice.writeTo(writable).then(() => writable.end(), over);
    return released(slice);
  },
};

const read: Source = {
  name: 'readable()',
  events: ends,
  whole: false,
  writes: true,
  make(content, { writable, over }) {
    const slice = filled(Slice.alloc(content.byteLength), content);
    if (writable === undefined) throw new Error('no stream');
    pipeline(readable(slice), writable, (error) => {
      if (error) over(error);
    });
    return released(slice);
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
  read,
  lent,
  written,
];
