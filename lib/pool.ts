import { allocate, holdsAlone } from './core/block.ts';
import { checkIndex, checkLength } from './core/check.ts';
import { runDestructors } from './core/destructor.ts';
import { inspectAs } from './core/inspect.ts';
import { readOptions } from './core/options.ts';
import { Reference } from './core/reference.ts';
import { tie } from './core/tie.ts';
import { CSliceError } from './errors.ts';
import { newSlice, type Slice } from './slice.ts';

/**
 * How many blocks a pool has, and of what size.
 *
 * @example
 * using pool = new Pool({ byteLength: 65536, capacity: 8, warmUp: 2 });
 */
export interface PoolOptions {
  /** The size of every block. */
  byteLength: number;
  /** The most blocks that the pool has at a time, rented and waiting. Default 64. */
  capacity?: number;
  /** Blocks to make at once, so that the first rents need none. Default 0. */
  warmUp?: number;
}

/**
 * What a pool has done.
 *
 * @example
 * using pool = new Pool({ byteLength: 1024 });
 * pool.rent().release();
 * pool.rent().release();
 * console.log(pool.stats()); // { hits: 1, misses: 1, idle: 1, blocks: 1 }
 */
export interface PoolStats {
  /** Rents that were served by a waiting block. */
  hits: number;
  /** Rents that made a block. */
  misses: number;
  /** Blocks that wait. */
  idle: number;
  /** Blocks that the pool has made and that are neither released nor lost. */
  blocks: number;
}

/** One block with its view, which it keeps for life. Waits in the pool, or is held by the slice that rents it. */
class PooledBlock extends Reference {
  readonly #home: Home;
  /** What a view leads to: not to this, whose place is free once the rented slice is dropped. */
  readonly #shown: Reference;

  constructor(home: Home) {
    const shown = allocate(home.byteLength, 'pool');
    super(shown.buffer, shown.block, shown.address, shown.byteLength);
    this.#home = home;
    this.#shown = shown;
    this.sole = true;
    this.recorded = shown.recorded;
    this.lock();
    tie(this.show(), shown);
  }

  override get isTied(): boolean {
    return true;
  }

  override get isPooled(): boolean {
    return true;
  }

  /** The end of a rent. */
  override end(): void {
    this.#home.take(this);
  }

  /** Gives the memory back to C. */
  discard(): void {
    super.end();
  }

  /** Nobody can be using it: no Buffer, lease or subslice of it is left. */
  get isUsable(): boolean {
    if (!this.isLive || this.told) return false;
    if (!(this.sole && this.#shown.sole)) this.sole = this.#shown.sole = holdsAlone(this);
    return this.sole;
  }
}

/** What the pool and its blocks share: a dropped pool must not be kept by a block that is still rented. */
class Home {
  readonly byteLength: number;
  readonly #capacity: number;
  readonly idle: PooledBlock[] = [];
  blocks = 0;
  closed = false;
  /** A block that was dropped while rented frees its place. */
  readonly #dropped = new FinalizationRegistry<undefined>(() => {
    this.blocks--;
  });

  constructor(byteLength: number, capacity: number) {
    this.byteLength = byteLength;
    this.#capacity = capacity;
  }

  make(): PooledBlock {
    this.#checkRoom();
    const block = new PooledBlock(this);
    try {
      this.#checkRoom(); // again: where memory is short, an allocation runs code of the program's
    } catch (error) {
      block.discard();
      throw error;
    }
    this.#dropped.register(block, undefined, block);
    this.blocks++;
    return block;
  }

  #checkRoom(): void {
    if (this.closed) throw new CSliceError('ERR_CSLICE_RELEASED', 'This pool has been released');
    if (this.blocks >= this.#capacity) {
      throw new CSliceError(
        'ERR_CSLICE_EXHAUSTED',
        `All ${this.#capacity} blocks of the pool are rented: release one, or give the pool a larger capacity`,
      );
    }
  }

  take(block: PooledBlock): void {
    if (!this.closed && block.isUsable) this.idle.push(block);
    else this.discard(block);
  }

  /** A waiting block. One whose stale view was moved or pinned meanwhile is dropped. */
  nextUsable(): PooledBlock | undefined {
    for (let block = this.idle.pop(); block !== undefined; block = this.idle.pop()) {
      if (block.isUsable) return block;
      this.discard(block);
    }
    return undefined;
  }

  discard(block: PooledBlock): void {
    this.#dropped.unregister(block);
    this.blocks--;
    block.discard();
  }
}

/**
 * Blocks of one size, used again and again with the views that they have. `rent()` hands out a slice, and its `release()`
 * returns the block to the pool.
 *
 * A returned slice throws `ERR_CSLICE_RELEASED`, but a view that is kept past the return is not detached: it shows the
 * next renter's bytes, until the pool is released. So whoever returns a slice promises that nothing uses its `bytes` any
 * more. Blocks are not cleared: a rented one has the bytes of its last renter. A rented slice that is dropped is
 * collected, and its place in the pool becomes free. A block of which leases, subslices, Buffers or shared buffers are left
 * when it returns is not lent again; it is freed when the last of them ends. A call by `.async` holds a lease until C is
 * done.
 *
 * @example
 * using pool = new Pool({ byteLength: 65536, capacity: 8 });
 * using rented = pool.rent();
 * rented.bytes.fill(1);
 */
export class Pool implements Disposable {
  readonly #home: Home;
  #hits = 0;
  #misses = 0;

  /**
   * Allocates the blocks that are to be there from the start.
   *
   * @throws {CSliceError} `ERR_CSLICE_RANGE`, `ERR_CSLICE_TYPE`, `ERR_CSLICE_NOMEM`
   */
  constructor(options: PoolOptions) {
    const { byteLength, capacity, warmUp } = readOptions('options', options, ['byteLength', 'capacity', 'warmUp']);
    const size = checkLength('byteLength', byteLength);
    const most = checkIndex('capacity', capacity, 64, 1, 2 ** 24);
    this.#home = new Home(size, most);
    this.#warm(checkIndex('warmUp', warmUp, 0, 0, most));
    runDestructors();
  }

  /**
   * A slice of the pool's size. No call into C where a block waits.
   *
   * @throws {CSliceError} `ERR_CSLICE_EXHAUSTED` when all blocks are rented, `ERR_CSLICE_RELEASED`, `ERR_CSLICE_NOMEM`
   */
  rent(): Slice {
    const waiting = this.#home.nextUsable();
    if (waiting !== undefined) this.#hits++;
    const block = waiting ?? this.#grow();
    const slice = newSlice(block);
    runDestructors();
    return slice;
  }

  #warm(count: number): void {
    try {
      for (let i = 0; i < count; i++) this.#home.idle.push(this.#home.make());
    } catch (error) {
      this.release();
      throw error;
    }
  }

  #grow(): PooledBlock {
    const block = this.#home.make();
    this.#misses++;
    return block;
  }

  /** The size of every block, in bytes. */
  get byteLength(): number {
    return this.#home.byteLength;
  }

  /** Whether the pool has been released. */
  get released(): boolean {
    return this.#home.closed;
  }

  /** What the pool has done so far, and what it has now. */
  stats(): PoolStats {
    const { idle, blocks } = this.#home;
    return { hits: this.#hits, misses: this.#misses, idle: idle.length, blocks };
  }

  /** Frees the waiting blocks; a rented one is freed when it returns. Does nothing the second time. */
  release(): void {
    this.#home.closed = true;
    for (const block of this.#home.idle.splice(0)) this.#home.discard(block);
    runDestructors();
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

inspectAs(Pool, (pool) => {
  const { blocks, idle } = pool.stats();
  return { byteLength: pool.byteLength, blocks, idle, released: pool.released };
});
