import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

interface Reply {
  id: number;
  value?: unknown;
  code?: string;
}

/** The thread of sharer.ts, and how to ask it for something. */
export class Thread {
  readonly #worker = new Worker(new URL('../programs/worker.mjs', import.meta.url), {
    workerData: { program: new URL('../programs/sharing/sharer.ts', import.meta.url).href },
  });
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #exit = once(this.#worker, 'exit');
  #lastId = 0;

  constructor() {
    this.#worker.on('message', (reply: Reply) => this.#waiting.get(reply.id)?.(reply));
    this.#worker.unref();
  }

  /** What the command returned, or the code of what it threw. */
  // biome-ignore lint/suspicious/noExplicitAny: it depends on the command
  ask(command: string, details: object = {}): Promise<any> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, (reply) => {
        this.#waiting.delete(id);
        this.#worker.unref();
        resolve(reply.code ?? reply.value);
      });
      this.#worker.ref();
      this.#worker.postMessage({ id, command, ...details });
    });
  }

  /** Ends the thread, as it would by itself or by force. */
  async end(how: 'return' | 'terminate'): Promise<void> {
    this.#worker.ref();
    if (how === 'terminate') await this.#worker.terminate();
    else this.#worker.postMessage({ id: 0, command: 'end' });
    await this.#exit;
  }
}
