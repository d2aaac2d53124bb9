// No operation of Node delivers or touches memory that was given back: every consumer of bytes × every source × what may
// happen in the middle, with freed memory poisoned in one run and unmapped in another.
import {
  type Failure,
  type Freed,
  laboratory,
  list,
  type Runtime,
  runAll,
  show,
  thisNode,
} from '../../test/helpers/io/runner.ts';
import type { CellName } from '../../test/programs/io/matrix.ts';

import type { Proof } from './shared/proof.ts';
import { buildPackage } from './shared/report.ts';

function runtimeOf(executable: string | undefined): Runtime {
  if (executable === undefined) return thisNode;
  if (/deno[^/]*$/.test(executable)) return { executable, flags: ['run', '--allow-all', '--v8-flags=--expose-gc'] };
  return { executable, flags: ['--expose-gc'] };
}

export const proof: Proof = {
  about: "no operation of Node reads or writes memory that was given back; options choose among the matrix's cells",
  options: {
    runtime: { type: 'string' },
    consumers: { type: 'string', default: '' },
    sources: { type: 'string', default: '' },
    events: { type: 'string', default: '' },
    sizes: { type: 'string' },
    freed: { type: 'string', default: 'poison,unmap' },
    jobs: { type: 'string', default: '1' },
    'one-in': { type: 'string', default: '1' },
  },
  async prove(report, args) {
    await buildPackage();
    const sizes = args.text('sizes')?.split(',').map(Number);
    const patterns = ['consumers', 'sources', 'events'].map((name) => new RegExp(args.text(name) ?? ''));
    const chosen = ({ consumer, source, event, size }: CellName, index: number): boolean =>
      [consumer, source, event].every((name, i) => patterns[i]?.test(name)) &&
      (sizes?.includes(size) ?? true) &&
      index % (args.count('one-in', 1) ?? 1) === 0;
    const lab = await laboratory();
    try {
      const runtime = runtimeOf(args.text('runtime'));
      const settings = {
        runtime,
        freed: (args.text('freed') ?? '').split(',') as Freed[],
        jobs: args.count('jobs', 1) ?? 1,
        report: (failure: Failure) => console.log(`    ${show(failure)}`),
      };
      await report.proof('io: cells', async () => {
        const { total, failures } = await runAll(list(runtime, lab).filter(chosen), settings, lab);
        return { passed: total - failures.length, total };
      });
    } finally {
      lab.close();
    }
  },
};
