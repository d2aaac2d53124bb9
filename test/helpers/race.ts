/** Races for one block: threads use it in different ways while another thread releases it at a random moment. */
import { once } from 'node:events';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { callAsync, Slice } from '../../lib/index.ts';
import type { Random } from './random.ts';
import type { Library } from './threads.ts';

export interface Raced {
  rounds: number;
  uses: number;
  /** Uses that saw other bytes than the block's. */
  wrong: number;
  errors: string[];
}

async function pause(random: Random): Promise<void> {
  const kind = random(4);
  if (kind === 0) return;
  if (kind < 3) for (let turns = random(5); turns >= 0; turns--) await turn();
  else await wait(random(3));
}

interface Answer {
  uses: number;
  wrong: number;
  error?: string;
}

/** One thread, which answers in the order in which it was asked. */
class User {
  readonly #worker: Worker;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => this.#waiting.shift()?.(answer));
  }

  static async start(entry: string): Promise<User> {
    const program = new URL('../programs/threads/race-user.mjs', import.meta.url);
    const worker = entry.endsWith('.ts')
      ? new Worker(new URL('../programs/worker.mjs', import.meta.url), { workerData: { program: program.href, entry } })
      : new Worker(program, { workerData: { entry }, execArgv: [] });
    await once(worker, 'message');
    return new User(worker);
  }

  ask(task: object): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#worker.postMessage(task);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

async function shareOne(users: User[], round: number, random: Random): Promise<Answer[]> {
  const marker = 1 + (round % 255);
  const slice = Slice.alloc(64 + random(1000));
  slice.bytes.fill(marker);
  const shared = slice.toSharedBuffer();
  const answers = users.map((user) =>
    user.ask({
      shared,
      marker,
      uses: 1 + random(20),
      way: random(100),
      ending: random(4) === 0 ? 'drop' : 'release',
    }),
  );
  await pause(random);
  slice.release();
  return Promise.all(answers);
}

/** Shares blocks with other threads, and releases them here while they are used there. */
export async function raceThreads(entry: string, threads: number, rounds: number, random: Random): Promise<Raced> {
  const users = await Promise.all(Array.from({ length: threads }, () => User.start(entry)));
  const raced: Raced = { rounds: 0, uses: 0, wrong: 0, errors: [] };
  const underWay = 8;
  for (let round = 0; round < rounds; round += underWay) {
    const batch = Array.from({ length: Math.min(underWay, rounds - round) }, (_, i) =>
      shareOne(users, round + i, random),
    );
    for (const { uses, wrong, error } of (await Promise.all(batch)).flat()) {
      raced.uses += uses;
      raced.wrong += wrong;
      if (error !== undefined) raced.errors.push(error);
    }
    raced.rounds += batch.length;
  }
  await Promise.all(users.map((user) => user.end()));
  return raced;
}

async function callOne(library: Library, round: number, random: Random): Promise<Raced> {
  const marker = 1 + (round % 200);
  const slice = library.adopt(256);
  slice.bytes.fill(marker);
  const { bytes } = slice;
  const calls = Array.from({ length: 1 + random(6) }, (_, i) =>
    callAsync(library.look, i % 2 === 0 ? slice : bytes, 256, marker, random(300)),
  );
  await pause(random);
  slice.release();
  const wrongs: number[] = await Promise.all(calls);
  const views = bytes.length === 0 ? 0 : 1;
  return { rounds: 1, uses: calls.length, wrong: wrongs.filter((wrong) => wrong > 0).length + views, errors: [] };
}

/** C functions in the background read blocks that are released here in the meantime. */
export async function raceCalls(library: Library, rounds: number, random: Random): Promise<Raced> {
  const raced: Raced = { rounds: 0, uses: 0, wrong: 0, errors: [] };
  const underWay = 10;
  for (let round = 0; round < rounds; round += underWay) {
    const batch = Array.from({ length: Math.min(underWay, rounds - round) }, (_, i) =>
      callOne(library, round + i, random),
    );
    for (const { uses, wrong } of await Promise.all(batch)) {
      raced.rounds++;
      raced.uses += uses;
      raced.wrong += wrong;
    }
  }
  return raced;
}
