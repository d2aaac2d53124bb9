/** What Node's `diagnostics_channel` is told. Subscribers run once the operation is done, as destructors do. */
import { type Channel, channel, tracingChannel } from 'node:diagnostics_channel';

export const allocated: Channel = channel('cslice:block:alloc');
export const released: Channel = channel('cslice:block:release');
export const pressure: Channel = channel('cslice:memory:pressure');
export const limitReached: Channel = channel('cslice:memory:limit');

/** Of a C function that runs on another thread. */
export interface CallMessage {
  readonly name: string;
  result?: unknown;
  error?: unknown;
}

export const calls: ReturnType<typeof tracingChannel<unknown, CallMessage>> = tracingChannel('cslice:call');

interface Later {
  end(): void;
}

let later: (ending: Later) => void = (ending) => ending.end();

/** Who runs what is left to the end of an operation. */
export function publishBy(run: (ending: Later) => void): void {
  later = run;
}

/** A subscriber is running: what it allocates itself is not published, or it would never end. */
let publishing = false;

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
