import { expect } from 'chai';
import { drive, type Plan } from '../helpers/attack.ts';
import { withLibrary } from '../programs/attack/native.ts';

/** Longer by this factor than within CI: `CSLICE_ATTACK=20 npx mocha test/stress/attack.test.ts`. For more, see `npm run prove attack`. */
const factor = Number(process.env.CSLICE_ATTACK ?? 1);

/** Fails with what the program found, and how to find it again. */
function expectNothing(program: string, plan: Omit<Plan, 'library'>): void {
  const { failures, units, steps } = withLibrary((library) =>
    drive(`${program}.ts`, { milliseconds: 60_000 * factor, mostFailures: 3, ...plan, library }),
  );
  const found = failures.map(({ unit, message }) => {
    return `npm run prove attack ${program} -- --seed ${plan.seed} --unit ${unit} --units 1\n${message}`;
  });
  expect(failures.length, found.join('\n\n')).to.equal(0);
  expect(units + steps).to.be.above(0);
}

// The walk and the interruptions run by `npm run prove attack`: their model is not exact yet about what a collection may end.
describe('under attack', function () {
  this.timeout(120_000 * factor);

  it('a chain of destructors that each release the next runs to its end, each of them once', () => {
    expectNothing('chain', { seed: 1 });
  });

  it('workers that are terminated at any moment leave nothing behind', () => {
    expectNothing('terminate', { seed: 13, to: 6 * factor });
  });

  it('every function takes every kind of argument, or says with a code why not', () => {
    expectNothing('arguments', { seed: 1, mostFailures: 50 });
  });
});
