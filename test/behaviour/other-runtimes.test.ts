import { expect } from 'chai';
import { runtime } from '../helpers/engine.ts';
import { compile } from '../helpers/fixture.ts';
import { runForJson } from '../helpers/run.ts';

/** Runs a program of test/programs/runtimes with a file of that folder loaded before it. */
function outcomesOf(program: string, before: string, env: NodeJS.ProcessEnv = {}): Record<string, unknown> {
  const flags = ['--require', `./test/programs/runtimes/${before}`];
  return runForJson(`runtimes/${program}`, { flags, env });
}

/** From Node 24 on a marked buffer is locked. */
const canRefuse = Number(process.versions.node.split('.')[0]) >= 24;

function hasGlibc(): boolean {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime !== undefined;
}

describe('a version of Node that the package does not know', function () {
  this.timeout(120_000);

  it('has buffers of Node-API, with the same promises; their memory goes on the event loop', function () {
    if (runtime !== 'node') this.skip();
    expect(outcomesOf('node-api.ts', 'unlisted.cjs')).to.deep.equal({
      direct: false,
      hasViews: true,
      'a view of a released slice is detached in the call': 0,
      "a release calls no method of the program's": [0, 0],
      'a view keeps its slice': true,
      'destructors run once, for a released and a dropped slice': 2,
      'a resize ends the views and keeps the bytes': [0, 'abc', 100_000],
      'a subslice outlives its slice': 'two',
      'a clone': 'cloned',
      'a Buffer outlives its slice': 'Buffer',
      toSharedBuffer: 'ERR_CSLICE_NO_VIEW',
      attach: [1, 2, 3, 4],
      'a lease and a pin keep the memory': ['held', 'held'],
      'a pin of JavaScript memory': 'JavaScript',
      'a loan': 'lent',
      'a stream': 'written',
      'an arena': 11,
      'a pool rents a block again': true,
      'a borrowed slice': 'owner',
      'a block of C': 'handed over',
      'memory given to C': 0,
      'memory given to C, of which the program has marked the view': canRefuse ? 'ERR_CSLICE_NO_VIEW' : 'given',
      'memory that others hold is not given to C, and its view stays': ['ERR_CSLICE_STATE', 7, 'shared', false],
      'a call in the background': 10,
      'the limit collects what was dropped, if the job yields': 'within the limit',
      'tracking names the holders': [['slice', 'view', 'subslice'], 64, 56],
      'guard mode': 'guarded',
    });
  });
});

describe('a runtime that forbids ArrayBuffers over C memory, as Electron does', function () {
  this.timeout(120_000);

  it('works without views, refuses them with ERR_CSLICE_NO_VIEW, and gives every block back', function () {
    if (runtime !== 'node' || !hasGlibc()) this.skip(); // the fixture needs glibc's loader
    const forbidding = compile('forbid-views.c', 'forbid-views.so');
    const noView = 'ERR_CSLICE_NO_VIEW';
    expect(outcomesOf('without-views.ts', 'electron.cjs', { LD_PRELOAD: forbidding })).to.deep.equal({
      direct: false,
      hasViews: false,
      alloc: [0, 0, 0, 0, 0, 0, 0, 0],
      aligned: 0,
      fromBytes: [2, 3],
      fromString: ['ä𝄞', 7],
      copyFrom: '\0ab!',
      adopt: 'from C',
      'adopt, a destructor in JavaScript': [true, 1],
      borrow: 'owned',
      subslice: ['two', true],
      resize: [2, 'ab'],
      lease: 'leased',
      pin: 'hi',
      disown: true,
      block: 'handed to C',
      attach: 'shared',
      copyBytes: 'copied',
      concat: 'one two',
      SliceWriter: 600,
      'func with a slice': 4,
      'func that returns a text': 'doubled',
      'func with an output': 'by C',
      callAsync: 5,
      callback: true,
      handle: true,
      toJSON: '{"byteLength":3,"released":false}',
      'holders and blocks': [['slice'], 1],
      limit: 'ERR_CSLICE_LIMIT',
      guard: 'guarded',
      bytes: noView,
      buffer: noView,
      view: noView,
      toBuffer: noView,
      toSharedBuffer: noView,
      read: noView,
      write: noView,
      structs: noView,
      lend: noView,
      writeTo: noView,
      readable: noView,
      'Buffer.from': noView,
      arena: noView,
      'arena.string': noView,
      pool: noView,
    });
  });
});

describe('a CPU without koffi', function () {
  this.timeout(120_000);

  it('has slices, and what needs koffi says so with ERR_CSLICE_LIBRARY', function () {
    if (runtime !== 'node') this.skip();
    const { platform, arch } = process;
    const noKoffi = `ERR_CSLICE_LIBRARY: koffi, which calls C functions, cannot be loaded on ${platform}-${arch}: Cannot find module 'koffi'`;
    expect(outcomesOf('without-koffi.ts', 'no-koffi.cjs')).to.deep.equal({
      'a slice': ['Text', 'ext', 'Text'],
      'a destructor': 12,
      'an arena and a pool': [3, 64],
      'a handle': 'Object',
      tracking: [1, 10],
      'a number': 0,
      'a struct': noKoffi,
      'a callback': noKoffi,
      'a function': noKoffi,
    });
  });
});
