import { expect } from 'chai';
import { compileThreads, underSanitizer } from '../helpers/compile-threads.ts';
import { run, runForJson } from '../helpers/run.ts';

interface Outcome {
  calls: number;
  overwritten: number;
  right: number;
}

describe('callAsync where plain .async() of koffi corrupts memory', function () {
  this.timeout(60_000);

  const report = /AddressSanitizer: heap-use-after-free/;

  it('that is a write to freed memory, as AddressSanitizer finds, and by callAsync it is none', function () {
    const sanitized = underSanitizer();
    if (sanitized === undefined) return this.skip(); // no libasan beside this compiler; the tests below need none
    const args = (how: string) => ({ args: [how, compileThreads()], env: sanitized });
    const plain = run('threads/late-write.ts', args('plain'));
    expect(plain.stderr).to.match(report);
    const held = run('threads/late-write.ts', args('held'));
    expect([held.status, held.stderr.match(report)]).to.deep.equal([0, null]);
  });

  it('that happens: a buffer dropped during a plain call is freed, and the late write hits what came after', () => {
    const { status, signal, stdout } = run('threads/late-write.ts', { args: ['plain', compileThreads()] });
    const died = status !== 0 || signal !== null;
    const overwritten = died ? 0 : (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Outcome).overwritten;
    expect(died || overwritten > 0, `died: ${died}, overwritten: ${overwritten}`).to.equal(true);
  });

  it('the same program survives by callAsync, with every byte in its place', () => {
    const outcome = runForJson<Outcome>('threads/late-write.ts', { args: ['held', compileThreads()] });
    expect(outcome).to.deep.equal({ calls: 40, overwritten: 0, right: 40 });
  });
});
