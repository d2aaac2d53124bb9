import { expect } from 'chai';
import { callback, destructor, func, Slice } from '../../../lib/index.ts';
import { c } from '../../helpers/c-library.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { objects } from '../../helpers/objects.ts';

type Any = (...args: unknown[]) => unknown;

const texts = ['', 'a', 'bc', 'def', 'ghij', 'klmno', 'pqrstu'];

function declared(name: string, count: number, ownership: unknown): Any {
  const parameters = Array.from({ length: count }, (_, i) => `const char *text${i}`).join(', ') || 'void';
  const prototype = `${name}${count}(${parameters})`;
  return ownership === undefined
    ? wrong(func(objects(), prototype))
    : wrong(wrong(func)(objects(), prototype, ownership));
}

function lengths(count: number, ownership?: unknown): Any {
  return declared('int obj_lengths', count, ownership);
}

/** Hands a new text over, or NULL. */
function joined(count: number): Any {
  const free = destructor(c, 'free');
  return declared('char *obj_joined', count, { returns: 'string', free });
}

const slices: Slice[] = [];

function sliceOf(text: string): Slice {
  const slice = Slice.fromString(text);
  slices.push(slice);
  return slice;
}

/** The ways in which a function of a library may get a text: as an address, as it is, and by a preparation of ours. */
const ways: Readonly<Record<string, (text: string) => unknown>> = {
  'a slice': sliceOf,
  'a string': (text) => text,
  'a Buffer': (text) => Buffer.from(`${text}\0`),
  'an ArrayBuffer': (text) => new TextEncoder().encode(`${text}\0`).buffer,
};

for (const count of [0, 1, 2, 3, 4, 5, 6, 7]) {
  describe(`a declared function of ${count} arguments`, () => {
    const given = texts.slice(texts.length - count);
    const sum = given.join('').length;

    afterEach(() => {
      for (const slice of slices.splice(0)) slice.release();
    });

    for (const [way, of] of Object.entries(ways)) {
      it(`takes ${way} at each place`, () => {
        expect(lengths(count)(...given.map(of)), 'at all').to.equal(sum);
        for (const place of given.keys()) {
          expect(lengths(count)(...given.map((text, i) => (i === place ? of(text) : text)))).to.equal(sum);
        }
      });

      it(`throws errno, given ${way}, where its result says that it failed`, () => {
        const checked = lengths(count, { failed: (result: number) => result < 0 });
        expect(checked(...given.map(of))).to.equal(sum);
        for (const place of given.keys()) {
          const error = expectError(
            () => checked(...given.map((text, i) => of(i === place ? 'fail' : text))),
            'ERR_CSLICE_CALL',
          );
          expect(error).to.include({ errno: 16, result: -1 });
        }
      });
    }

    for (const [way, of] of Object.entries(ways)) {
      it(`hands a text over, given ${way}, or throws errno for NULL`, () => {
        expect(joined(count)(...given.map(of))).to.equal(given.join(''));
        for (const place of given.keys()) {
          const args = given.map((text, i) => of(i === place ? 'fail' : text));
          expect(expectError(() => joined(count)(...args), 'ERR_CSLICE_CALL')).to.include({ errno: 16 });
        }
      });
    }

    it('does the same while a callback lives', () => {
      using _ = callback(
        'int same(int n)',
        wrong((n: number) => n),
      );
      expect(lengths(count)(...given)).to.equal(sum);
    });

    it('refuses another number of arguments', () => {
      expectError(() => lengths(count)(...given, 'more'), 'ERR_CSLICE_TYPE', /takes \d arguments?/);
      if (count > 0) expectError(() => lengths(count)(...given.slice(1)), 'ERR_CSLICE_TYPE', /takes \d arguments?/);
    });

    it('names the argument that is of a wrong type', () => {
      for (const place of given.keys()) {
        const args = given.map((text, i) => (i === place ? 5.5 : text));
        expectError(() => lengths(count)(...args), 'ERR_CSLICE_TYPE', new RegExp(`text${place}\\b`));
      }
    });
  });
}
