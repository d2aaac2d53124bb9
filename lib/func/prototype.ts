/**
 * A C prototype, read at run time. koffi reads prototypes itself, but tells neither the parameters' names, which every
 * message of ours needs, nor does it take types that nobody declared. The language is koffi's; a pointer to a type that
 * koffi does not know is a pointer to an opaque type.
 */
import { show, typeError } from '../errors.ts';
import { koffi, type TypeObject, type TypeSpec } from '../native/koffi.ts';
import { type Shape, shapeOf } from './shape.ts';

export type Direction = 'in' | 'out' | 'inout';

/** A type as the prototype has it. */
export interface DeclaredType {
  /** As written, with single spaces and without qualifiers, such as `sqlite3 **`. */
  readonly text: string;
  /** What is pointed to in the end, without `struct`: `sqlite3`. */
  readonly target: string;
  readonly stars: number;
  readonly isConst: boolean;
  /** koffi's type; `void *` stands for a pointer to a type that koffi does not know. */
  readonly type: TypeObject;
  readonly shape: Shape;
}

export interface DeclaredParameter extends DeclaredType {
  /** `argument 2` where the prototype has no name. */
  readonly name: string;
  readonly direction: Direction;
}

export interface Prototype {
  readonly name: string;
  /** `__stdcall` and the like; undefined for the default. */
  readonly convention: string | undefined;
  readonly result: DeclaredType;
  readonly parameters: readonly DeclaredParameter[];
  readonly variadic: boolean;
}

const directions: ReadonlyMap<string, Direction> = new Map([
  ['_In_', 'in'],
  ['_Out_', 'out'],
  ['_Inout_', 'inout'],
]);
const conventions = new Set(['__cdecl', '__stdcall', '__fastcall', '__thiscall']);
const qualifiers = new Set(['const', 'volatile', 'restrict', '__restrict']);
const tags = new Set(['struct', 'union', 'enum']);

/** @throws {CSliceError} `ERR_CSLICE_TYPE` for what is no prototype, or has a type that nobody declared */
export function parsePrototype(text: unknown): Prototype {
  if (typeof text !== 'string') throw typeError(`prototype must be a string, got ${show(text)}`);
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = text.match(/[A-Za-z_]\w*|\d+|\.\.\.|\S/g) ?? [];
  }

  parse(): Prototype {
    const head = this.#until('(');
    if (head[0] === 'extern') head.shift();
    const name = head.pop();
    if (name === undefined || !isIdentifier(name) || head.length === 0)
      throw this.#error('it has no name or no result: write it as in a header, such as int compare(int)');
    const convention = conventions.has(head.at(-1) ?? '') ? head.pop() : undefined;
    const result = this.#typeOf(head);
    const parameters: DeclaredParameter[] = [];
    let variadic = false;
    this.#expect('(');
    for (let first = true; this.#peek() !== ')' || !first; first = false) {
      if (this.#peek() === '...') {
        this.#at++;
        variadic = true;
        break;
      }
      const words = this.#until(',', ')');
      if (!(first && this.#peek() === ')' && words.join() === 'void')) {
        parameters.push(this.#parameterOf(words, parameters.length));
      }
      if (this.#peek() !== ',') break;
      this.#at++;
    }
    this.#expect(')');
    if (this.#peek() === ';') this.#at++;
    if (this.#peek() !== undefined) throw this.#error(`${show(this.#peek())} follows it`);
    return { name, convention, result, parameters, variadic };
  }

  #parameterOf(words: string[], index: number): DeclaredParameter {
    const direction = directions.get(words[0] ?? '');
    if (direction !== undefined) words.shift();
    const name = this.#takeName(words);
    const declared = this.#typeOf(words);
    if (declared.shape.primitive === 'Void') throw this.#error('a parameter cannot be void');
    return { ...declared, name: name ?? `argument ${index + 1}`, direction: direction ?? 'in' };
  }

  /** The last word, unless it belongs to the type: `unsigned int` is a type, `unsigned x` has a name. */
  #takeName(words: string[]): string | undefined {
    const last = words.at(-1);
    if (last === undefined || !isIdentifier(last) || qualifiers.has(last)) return undefined;
    const rest = words.slice(0, -1).filter((word) => !qualifiers.has(word));
    if (rest.length === 0 || (rest.length === 1 && tags.has(rest[0] as string))) return undefined;
    if (rest.every(isIdentifier) && lookUp([...rest, last]) !== undefined) return undefined;
    return words.pop();
  }

  #typeOf(words: readonly string[]): DeclaredType {
    const base: string[] = [];
    const marks: string[] = [];
    for (const word of words) {
      if (qualifiers.has(word)) continue;
      if (word === '*' || word === '!') marks.push(word);
      else if (isIdentifier(word) && marks.length === 0) base.push(word);
      else throw this.#error(word === '[' ? 'arrays are passed as pointers: write *' : `${show(word)} is out of place`);
    }
    if (base.length === 0) throw this.#error('a type is missing');
    const named = base.filter((word) => !tags.has(word));
    const stars = marks.filter((mark) => mark === '*').length;
    const known = lookUp(base) ?? lookUp(named);
    if (known === undefined && stars === 0) {
      throw this.#error(
        `the type ${show(base.join(' '))} is unknown: declare it, as koffi.alias('${base.join(' ')}', 'long') does, or point to it`,
      );
    }
    const spelled = `${known ?? 'void'} ${marks.join('')}`.trim();
    const target = named.join(' ');
    const text = stars === 0 ? target : `${target} ${'*'.repeat(stars)}`;
    const type = koffi().type(spelled);
    return { text, target, stars, isConst: words.includes('const'), type, shape: shapeOf(type) };
  }

  #until(...ends: string[]): string[] {
    const words: string[] = [];
    while (this.#peek() !== undefined && !ends.includes(this.#peek() as string)) {
      const word = this.#tokens[this.#at++] as string;
      if (word === '(' || word === ')')
        throw this.#error('a function pointer needs a type: declare it with koffi.proto');
      words.push(word);
    }
    return words;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #expect(token: string): void {
    if (this.#peek() !== token)
      throw this.#error(`${show(token)} is missing before ${show(this.#peek() ?? 'its end')}`);
    this.#at++;
  }

  #error(problem: string): Error {
    const text = this.#text.length > 200 ? `${this.#text.slice(0, 200)}…` : this.#text;
    return typeError(`prototype ${JSON.stringify(text)}: ${problem}`);
  }
}

function isIdentifier(word: string): boolean {
  return /^[A-Za-z_]/.test(word);
}

/** Names of C that koffi does not have. */
const aliases: Readonly<Record<string, string>> = { ssize_t: 'intptr_t', ptrdiff_t: 'intptr_t' };

/** The name by which koffi knows a type without pointers; undefined if it does not. */
function lookUp(words: readonly string[]): string | undefined {
  const { type, types } = koffi();
  const spelled = words.join(' ');
  const names = [spelled, Object.hasOwn(aliases, spelled) ? aliases[spelled] : undefined, integerName(words)];
  const itsOwn = names.find((name) => name !== undefined && Object.hasOwn(types, name));
  if (itsOwn !== undefined || words.length !== 1) return itsOwn; // a type of the program's has a name of one word
  try {
    type(spelled);
    return spelled;
  } catch {
    return undefined; // there is no other way to ask; docs/safety.md says what an error of koffi's may do
  }
}

/** C spells an integer type in several ways, of which koffi knows one: `long unsigned int` is `unsigned long`. */
function integerName(words: readonly string[]): string | undefined {
  const isUnsigned = words.includes('unsigned');
  const size = words.filter((word) => !['int', 'signed', 'unsigned'].includes(word)).join(' ');
  if (size === '' ? words.length === 0 : !['char', 'short', 'long', 'long long'].includes(size)) return undefined;
  return `${isUnsigned ? 'unsigned ' : ''}${size === '' ? 'int' : size}`;
}

/** A parameter as koffi's declarations take it. */
export function koffiSpecOf({ type, direction }: DeclaredParameter): TypeSpec {
  if (direction === 'in') return type;
  return direction === 'out' ? koffi().out(type) : koffi().inout(type);
}

/** The type of an argument of a variadic function: a name, or what koffi made. */
export function parseVariable(name: string, position: number, spec: unknown): DeclaredParameter {
  const named = `argument ${position + 1}`;
  if (typeof spec === 'string') {
    const [parameter] = parsePrototype(`void ${name}(${spec})`).parameters;
    if (parameter !== undefined) return { ...parameter, name: named };
  }
  if (typeof spec !== 'object' || spec === null) {
    throw typeError(`${name}: argument ${position} must be a type of koffi or its name, got ${show(spec)}`);
  }
  const shape = shapeOf(spec);
  const { name: text } = shape;
  const type = spec as TypeObject;
  return { text, target: text, stars: 0, isConst: true, type, shape, name: named, direction: 'in' };
}
