/** What Node's `diagnostics_channel` is told. Subscribers run once the operation is done, as destructors do. */
import { type Channel, channel } from 'node:diagnostics_channel';

export const allocated: Channel = channel('cslice:block:alloc');
export const released: Channel = channel('cslice:block:release');
export const pressure: Channel = channel('cslice:memory:pressure');
export const limitReached: Channel = channel('cslice:memory:limit');

interface Later {
  end(): void;
}

let later: (ending: Later) => void = (ending) => ending.end();

/** Who runs what is left to the end of an operation. */
export function publishBy(run: (ending: Later) => void): void {
  later = run;
}

/** A subscriber is running: neither start nor end of what it allocates itself is published, or it would never end. */
let publishing = false;

export function isPublishing(): boolean {
  return publishing;
}

/** At the end of the operation. */
export function publish(to: Channel, message: object): void {
  if (publishing || !to.hasSubscribers) return;
  later({
    end() {
      publishing = true;
      try {
        to.publish(message); // Node reports what a subscriber throws as an uncaught exception
      } finally {
        publishing = false;
      }
    },
  });
}

/** The five of a `TracingChannel` named `cslice:call`, by which `tracingChannel('cslice:call')` subscribes. */
const traced = {
  start: channel('tracing:cslice:call:start'),
  end: channel('tracing:cslice:call:end'),
  asyncStart: channel('tracing:cslice:call:asyncStart'),
  asyncEnd: channel('tracing:cslice:call:asyncEnd'),
  error: channel('tracing:cslice:call:error'),
};

const tracedChannels = Object.values(traced);

/** What a subscriber gets: one object for all events of one call. */
interface CallMessage {
  /** Of the C function. */
  readonly name: string;
  result?: unknown;
  error?: unknown;
}

/** Tells what becomes of one call of a C function on another thread. */
class Tracing {
  readonly #message: CallMessage;
  #started = false;

  constructor(name: string) {
    this.#message = { name };
    publish(traced.start, this.#message);
  }

  /** C runs now. */
  started(): void {
    this.#started = true;
    publish(traced.end, this.#message);
  }

  result(result: unknown): void {
    this.#message.result = result;
    this.#settled();
  }

  error(error: unknown): void {
    this.#message.error = error;
    publish(traced.error, this.#message);
    if (this.#started) this.#settled();
    else publish(traced.end, this.#message);
  }

  #settled(): void {
    publish(traced.asyncStart, this.#message);
    publish(traced.asyncEnd, this.#message);
  }
}

/** For a call that begins; undefined where nobody listens. */
export function tracing(name: string): Tracing | undefined {
  return tracedChannels.some(({ hasSubscribers }) => hasSubscribers) ? new Tracing(name) : undefined;
}

export type { Tracing };
