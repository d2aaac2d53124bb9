// Proves that no operation of Node delivers or touches memory that was given back: every consumer of bytes × every source ×
// what may happen in the middle, with freed memory poisoned in one run and unmapped in another. Build the package first.
//   tsx scripts/prove-io.ts [--runtime path] [--consumers regexp] [--sources regexp] [--events regexp] [--sizes 100,65536]
//                              [--freed poison,unmap] [--jobs 1] [--one-in 1]
import { parseArgs } from 'node:util';
import {
  type Failure,
  type Freed,
  laboratory,
  list,
  type Runtime,
  runAll,
  show,
  thisNode,
} from '../test/helpers/io/runner.ts';
import type { CellName } from '../test/programs/io/matrix.ts';

const { values } = parseArgs({
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
});

function runtimeOf(executable: string | undefined): Runtime {
  if (executable === undefined) return thisNode;
  if (/deno[^/]*$/.test(executable)) return { executable, flags: ['run', '--allow-all', '--v8-flags=--expose-gc'] };
  return { executable, flags: ['--expose-gc'] };
}

const sizes = values.sizes?.split(',').map(Number);
const [consumers, sources, events] = [values.consumers, values.sources, values.events].map(
  (text) => new RegExp(text),
) as [RegExp, RegExp, RegExp];

function chosen(cell: CellName): boolean {
  return (
    consumers.test(cell.consumer) &&
    sources.test(cell.source) &&
    events.test(cell.event) &&
    (sizes?.includes(cell.size) ?? true)
  );
}

const lab = await laboratory();
try {
  const runtime = runtimeOf(values.runtime);
  const cells = list(runtime, lab)
    .filter(chosen)
    .filter((_, i) => i % Number(values['one-in']) === 0);
  const settings = {
    runtime,
    freed: values.freed.split(',') as Freed[],
    jobs: Number(values.jobs),
    report: (failure: Failure) => console.log(`FAILED: ${show(failure)}`),
  };
  const { total, failures } = await runAll(cells, settings, lab);
  console.log(`io: ${total - failures.length} of ${total} cells passed`);
  process.exitCode = failures.length === 0 && total > 0 ? 0 : 1;
} finally {
  lab.close();
}
