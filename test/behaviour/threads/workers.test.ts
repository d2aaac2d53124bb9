import { expect } from 'chai';
import { compileThreads, underSanitizer } from '../../helpers/compile-threads.ts';
import { run, runForJson } from '../../helpers/run.ts';
import type { Left } from '../../programs/threads/ends.ts';

/** What is left of a worker thread that held ten blocks with native destructors, five with JavaScript ones, and others. */
const nothing: Omit<Left, 'exitCode' | 'error'> = {
  liveBlocks: 0,
  liveBytes: 0,
  unaccounted: 0,
  freed: 10,
  lost: 5,
  freedInUse: 0,
};

const ends: Record<string, { title: string; left: Partial<Left> }> = {
  return: { title: 'that comes to its end', left: { exitCode: 0 } },
  throw: { title: 'that throws', left: { exitCode: 1, error: 'thrown in the worker' } },
  exit: { title: 'that calls process.exit()', left: { exitCode: 3 } },
  memory: { title: 'that runs out of JavaScript memory', left: { exitCode: 1, error: 'ERR_WORKER_OUT_OF_MEMORY' } },
  'return with buffers': { title: 'that holds moved, shared and other buffers', left: { exitCode: 0, freed: 30 } },
  'return after calls': { title: 'that ends after its calls of C have', left: { exitCode: 0, freed: 13 } },
  'terminate idle': { title: 'that is terminated while it waits', left: { exitCode: 1 } },
  'terminate loop': { title: 'that is terminated in a loop that uses slices', left: { exitCode: 1 } },
  'terminate collection': { title: 'that is terminated amid collections', left: { exitCode: 1 } },
  'terminate call': { title: 'that is terminated while C works on its blocks', left: { exitCode: 1, freed: 13 } },
};

/** V8 ends the whole process in some runs, where the worker passes its limit faster than Node can stop it. */
function runOutOfMemory(fixture: string): Record<string, Left> {
  for (let attempt = 1; ; attempt++) {
    try {
      return runForJson<Record<string, Left>>('threads/ends.ts', { args: [fixture, 'memory'] });
    } catch (error) {
      if (attempt === 5 || !/Reached heap limit/.test((error as Error).message)) throw error;
    }
  }
}

describe('a worker thread', function () {
  this.timeout(120_000);
  const results: Record<string, Left> = {};

  before(() => {
    const fixture = compileThreads();
    const others = Object.keys(ends).filter((how) => how !== 'memory');
    Object.assign(results, runForJson<Record<string, Left>>('threads/ends.ts', { args: [fixture, ...others] }));
    Object.assign(results, runOutOfMemory(fixture));
  });

  for (const [how, { title, left }] of Object.entries(ends)) {
    it(`${title} leaves no block and no byte, and every destructor ran or is counted`, () => {
      expect(results[how]).to.deep.equal({ ...nothing, ...left });
    });
  }

  it('that is terminated while C works on its blocks leaves C no freed memory, as AddressSanitizer finds', function () {
    const env = underSanitizer();
    if (env === undefined) return this.skip(); // no libasan beside this compiler; freedInUse above says it too
    const args = [compileThreads(), 'terminate call', 'terminate loop'];
    const { status, stderr } = run('threads/ends.ts', { args, env });
    expect([status, stderr.match(/AddressSanitizer: .*/)], stderr.slice(0, 2000)).to.deep.equal([0, null]);
  });
});
