import { Script } from 'node:vm';
import { expect } from 'chai';
import { needStack } from '../../../lib/core/stack-room.ts';
import { configure, Handle, Slice } from '../../../lib/index.ts';
import { collectManyTimes, collectUntil } from '../../helpers/collect.ts';
import { nearTheEnd } from '../../helpers/overflow.ts';

describe('what C has given over', () => {
  const adopters: Record<string, (address: bigint, ended: (address: bigint) => void) => Disposable> = {
    'Slice.adopt': (address, ended) => Slice.adopt(address, 8, ended),
    'Handle.adopt': (address, ended) => Handle.adopt('Given', address, ended),
  };
  for (const [name, adopt] of Object.entries(adopters))
    for (const track of [false, true]) {
      it(`is owned by ${name}() or by the caller, at the end of the stack as well${track ? ', tracked' : ''}`, async () => {
        configure({ track });
        adopt(4n, () => {})[Symbol.dispose](); // V8 needs more stack to compile a function than to call it
        try {
          const ended: bigint[] = [];
          const end = (address: bigint): void => void ended.push(address); // here, where it does not lead to what is held
          const isOwned = (() => {
            // Held until later: near the end of the stack a destructor of one would fail, if it were due there.
            const held = new Array<Disposable | undefined>(60).fill(undefined);
            for (const i of held.keys()) {
              nearTheEnd((track ? 30 : 10) * i + 1, () => {
                held[i] = adopt(BigInt(i + 1) << 12n, end);
              });
            }
            return held.map((each) => each !== undefined);
          })();
          const owned = [...isOwned.keys()].filter((i) => isOwned[i]).map((i) => BigInt(i + 1) << 12n);
          expect(owned.length).to.be.within(1, 59);
          await collectUntil(() => ended.length >= owned.length, 'what was adopted has ended');
          await collectManyTimes();
          expect(ended.sort()).to.deep.equal(owned.sort());
        } finally {
          configure({ track: false });
        }
      });
    }

  it("is still the caller's where the destructor of another block is stopped", async () => {
    const ended: string[] = [];
    Object.assign(globalThis, { adoptAnother: () => Slice.adopt(8192n, 8, () => ended.push('second')) });
    const script = new Script('adoptAnother()');
    let running = false;
    let stopped = false;
    for (let attempt = 0; attempt < 20 && !stopped; attempt++) {
      ended.length = 0;
      (() => {
        Slice.adopt(4096n, 8, () => {
          ended.push('first');
          while (running); // until it is stopped
        });
      })();
      await new Promise(setImmediate);
      globalThis.gc?.();
      running = true;
      try {
        script.runInThisContext({ timeout: 50 });
      } catch (error) {
        stopped = (error as { code?: string }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
      }
      running = false;
      await collectManyTimes(); // what was not collected in time ends now
    }
    expect([stopped, ended]).to.deep.equal([true, ['first']]);
  });

  it('has room where the stack has', () => {
    expect(() => needStack(100, 0, 0, 0, 0, 0, 0)).not.to.throw();
    expect(() => needStack(1e9, 0, 0, 0, 0, 0, 0)).to.throw(RangeError);
  });
});
