// biome-ignore-all lint/suspicious/noExplicitAny: the arguments of a declaration's functions are those of the prototype
/**
 * TypeScript types from the text of a C prototype. Nothing is generated: template literal types take the text apart.
 * What they cannot take apart falls back to `unknown`, never to a wrong type.
 */
import type { Destructor } from '../core/destructor.ts';
import type { Callback, Handle } from '../handle.ts';
import type { Slice } from '../slice.ts';

/**
 * C memory, or JavaScript's that C may use during the call.
 *
 * @example
 * const memset = func(c, 'void *memset(void *memory, int byte, size_t size)');
 * const candidates: cslice.Memory[] = [Slice.alloc(8), new Uint8Array(8), new SharedArrayBuffer(8)];
 * for (const memory of candidates) memset(memory, 1, 8);
 */
export type Memory = Slice | ArrayBuffer | SharedArrayBuffer | ArrayBufferView | bigint | null;

/**
 * A JavaScript object that stands for a C struct. No handle is one: those have a `lease`.
 *
 * @example
 * koffi.struct('div_operands', { numerator: 'int', denominator: 'int' });
 * const operands: cslice.StructObject = { numerator: 7, denominator: 2 };
 * const memcmp = func(c, 'int memcmp(const div_operands *a, const div_operands *b, size_t size)');
 * console.log(memcmp(operands, operands, 8)); // 0
 */
export type StructObject =
  | { readonly [member: string]: unknown; readonly lease?: never }
  | (object & { readonly lease?: never });

/**
 * What may be given where a prototype has a `T *`.
 *
 * @example
 * const strnlen = func(c, 'size_t strnlen(const char *text, size_t most)');
 * const text: cslice.Pointer<'char'> = Buffer.from('some text\0');
 * console.log(strnlen(text, 100)); // 9
 */
export type Pointer<T extends string = string> =
  | Memory
  | (T extends 'void'
      ? Handle | Callback
      : T extends Character | SmallInteger | WideInteger | 'bool' | 'float' | 'double'
        ? readonly (number | bigint | boolean | null)[]
        : Handle<T> | Callback | StructObject | ((...args: never[]) => unknown));

type Character = 'char' | 'signed char' | 'unsigned char' | 'char16_t' | 'char32_t' | 'wchar_t';
type SmallInteger =
  | `${'unsigned ' | ''}${'short' | 'int'}`
  | `${'u' | ''}int${8 | 16 | 32}${'_t' | ''}`
  | `${'u' | ''}int${16 | 32}_${'le' | 'be'}${'_t' | ''}`
  | 'unsigned'
  | 'uchar'
  | 'ushort'
  | 'uint';
type WideInteger =
  | 'size_t'
  | 'ssize_t'
  | 'ptrdiff_t'
  | `${'unsigned ' | ''}${'long' | 'long long'}`
  | `${'u' | ''}${'long' | 'longlong'}`
  | `${'u' | ''}int${64 | 'ptr'}${'_t' | ''}`
  | `${'u' | ''}int64_${'le' | 'be'}${'_t' | ''}`;
type Real = 'float' | 'double' | 'float32' | 'float64';
type StringName = 'str' | 'string' | 'str16' | 'string16' | 'str32' | 'string32';
type Wide = 'char' | 'char16_t' | 'char32_t' | 'wchar_t' | 'char16' | 'char32' | 'wchar';

/** Types by their names. A look-up costs the compiler less than a chain of conditions. */
type Scalars = { [T in SmallInteger | Character | Real]: number } & { [T in WideInteger]: number | bigint } & {
  [T in StringName]: string | null;
  // biome-ignore lint/suspicious/noConfusingVoidType: it is C's
} & { void: void; bool: boolean };

/** A type by its name, without pointers. */
type Scalar<T extends string> = T extends keyof Scalars ? Scalars[T] : unknown;

type Trim<S extends string> = S extends ` ${infer R}` ? Trim<R> : S extends `${infer R} ` ? Trim<R> : S;
/** The only white space is single spaces. */
type Spaced<S extends string> = S extends `${infer A}\n${infer B}`
  ? Spaced<`${A} ${B}`>
  : S extends `${infer A}\t${infer B}`
    ? Spaced<`${A} ${B}`>
    : S extends `${infer A}  ${infer B}`
      ? Spaced<`${A} ${B}`>
      : S;

type Qualifier = 'const' | 'volatile' | 'struct' | 'union' | 'enum';
/** A type without qualifiers and tags. */
type Bare<S extends string> = S extends keyof Scalars
  ? S
  : S extends `${infer W} ${infer R}`
    ? W extends Qualifier | ''
      ? Bare<R>
      : S extends `${infer T} ` | `${infer T} const`
        ? Bare<T>
        : S
    : S;
type IsConst<S extends string> = S extends `const ${string}` | `${string} const ` ? true : false;

/** `double x` without its last word, where there are two or more and the whole is not the name of a type. */
type WithoutName<S extends string> = S extends `${infer First} ${infer Rest}`
  ? Known<S> extends true
    ? S
    : Rest extends `${string} ${string}`
      ? `${First} ${WithoutNameOf<Rest>}`
      : First
  : S;
type WithoutNameOf<S extends string> = S extends `${infer First} ${infer Rest}`
  ? Rest extends `${string} ${string}`
    ? `${First} ${WithoutNameOf<Rest>}`
    : First
  : S;
type Known<S extends string> = S extends Character | SmallInteger | WideInteger | Real ? true : false;
type LastWord<S extends string> = S extends `${string} ${infer R}` ? LastWord<R> : S;

/** A type, and the name that follows it. */
interface Declared {
  of: string;
  stars: 0 | 1 | 2;
  const: boolean;
  name: string;
}

/** Of a text without spaces at its ends. */
type Parse<S extends string> = S extends `${infer T}*${infer Rest}`
  ? {
      of: Bare<Trim<T>>;
      stars: Rest extends `${string}*${string}` ? 2 : 1;
      const: IsConst<T>;
      name: LastWord<Trim<Rest extends `${string}*${infer R}` ? NoStars<R> : Rest>>;
    }
  : S extends `${infer T extends keyof Scalars & string} ${infer Name}`
    ? Name extends `${string} ${string}`
      ? { of: WithoutName<Bare<S>>; stars: 0; const: false; name: LastWord<S> }
      : `${T} ${Name}` extends keyof Scalars
        ? { of: S; stars: 0; const: false; name: Name }
        : { of: T; stars: 0; const: false; name: Name }
    : { of: WithoutName<Bare<S>>; stars: 0; const: false; name: LastWord<S> };
type NoStars<S extends string> = S extends `${string}*${infer R}` ? NoStars<R> : S;

/** Of the text of a parameter: without {@link Parse}, since the compiler's time goes with the inputs. */
type Input<S extends string> = S extends `${infer T}*${infer Rest}`
  ? Rest extends `${string}*${string}`
    ? Memory | Handle | readonly (string | bigint | Slice | Handle | null)[]
    : T extends `const ${infer U}`
      ? ConstPointer<Bare<Trim<U>>>
      : T extends `${infer U} const `
        ? ConstPointer<Bare<U>>
        : Pointer<Bare<Trim<T>>>
  : S extends `${infer T extends keyof Scalars & string} ${infer Name}`
    ? Name extends `${string} ${string}`
      ? Scalar<Parse<S>['of']>
      : `${T} ${Name}` extends keyof Scalars
        ? Scalar<`${T} ${Name}`>
        : Scalars[T]
    : Scalar<Parse<S>['of']>;
type ConstPointer<T extends string> = Pointer<T> | (T extends Wide ? string : never);

/** What the caller gives for an `_Out_` or `_Inout_` parameter: memory, or an array or object that is filled. */
type Output<P extends Declared> =
  | Memory
  | (P['stars'] extends 2
      ? unknown[]
      : P['of'] extends Character
        ? unknown[]
        : Known<P['of']> extends true
          ? (number | bigint | null)[]
          : P['of'] extends 'void'
            ? Handle
            : P['stars'] extends 0
              ? unknown
              : StructObject | unknown[] | Handle<P['of']>);

/** The parameter's place in the argument list; none where the result takes it. */
type Argument<S extends string, Taken extends string> = S extends `_${infer D}_ ${infer R}`
  ? D extends 'Out'
    ? Parse<R> extends infer P extends Declared
      ? P['name'] extends Taken
        ? []
        : [Output<P>]
      : never
    : D extends 'Inout'
      ? [Output<Parse<R>>]
      : D extends 'In'
        ? [Input<R>]
        : [Input<S>]
  : S extends '...'
    ? unknown[]
    : [Input<S>];

type Arguments<S extends string, Taken extends string> = Trim<S> extends '' | 'void' ? [] : ArgumentsOf<S, Taken>;
type ArgumentsOf<
  S extends string,
  Taken extends string,
  Done extends unknown[] = [],
> = S extends `${infer First},${infer Rest}`
  ? ArgumentsOf<Rest, Taken, [...Done, ...Argument<Trim<First>, Taken>]>
  : [...Done, ...Argument<Trim<S>, Taken>];

type Convention = '__cdecl' | '__stdcall' | '__fastcall' | '__thiscall';
type WithoutConvention<S extends string> = S extends `${infer A}__${infer C} ${infer B}`
  ? `__${C}` extends Convention
    ? `${A}${B}`
    : S
  : S;

type Result<P extends Declared> = P['stars'] extends 0
  ? Scalar<P['of']>
  : P['stars'] extends 1
    ? P['of'] extends Wide
      ? string | null
      : bigint | null
    : bigint | null;

/** The head and the parameters of a prototype; never for what cannot be taken apart. */
type Split<S extends string> =
  Spaced<S> extends `${infer Head}(${infer List})${infer Tail}`
    ? Trim<Tail> extends '' | ';'
      ? List extends `${string}(${string}` | `${string}[${string}` | `${string}/*${string}` | `${string}!${string}`
        ? never
        : Head extends `${string}!${string}` | `${string}/*${string}`
          ? never
          : { head: Parse<Trim<WithoutConvention<Head>>>; list: List }
      : never
    : never;

/** What a C function returns by itself. */
export type RawResult<S extends string> = string extends S
  ? unknown
  : [Split<S>] extends [never]
    ? unknown
    : Result<Split<S>['head']>;

/** `buffer` of `buffer.data`. */
type Root<S> = S extends `${infer R}.${string}` ? R : S extends string ? S : never;
type Taken<O> =
  | (O extends { readonly from: infer F } ? Root<F> : never)
  | (O extends { readonly size: infer Z } ? Root<Z> : never);

/** The name of the parameter `F` of a list, as a handle is called: what is pointed to. */
type TargetOf<List extends string, F> = List extends `${infer First},${infer Rest}`
  ? TargetIn<First, F, TargetOf<Rest, F>>
  : TargetIn<List, F, string>;
type TargetIn<S extends string, F, Else> =
  Parse<WithoutDirection<Trim<S>>> extends { name: infer N; of: infer T } ? (N extends F ? T : Else) : Else;
type WithoutDirection<S extends string> = S extends `_${'Out' | 'Inout' | 'In'}_ ${infer R}` ? R : S;

type HandleNameOf<S extends string, O> = O extends { readonly from: infer F }
  ? F extends `${string}.${string}`
    ? string
    : TargetOf<Split<S>['list'], F>
  : Split<S>['head']['of'];

type ResultOf<S extends string, O> = O extends { readonly returns: infer R }
  ? R extends 'string'
    ? string
    : R extends 'bytes' | 'block'
      ? Slice
      : R extends 'view'
        ? Slice | null
        : R extends 'handle'
          ? Handle<[Split<S>] extends [never] ? string : HandleNameOf<S, O> & string>
          : unknown
  : RawResult<S>;

type Args<S extends string, O> = string extends S
  ? unknown[]
  : [Split<S>] extends [never]
    ? unknown[]
    : Arguments<Split<S>['list'], Taken<O>>;

/**
 * A C function. `Prototype` stands in the editor for the names of the parameters, which no type can make.
 *
 * @example
 * const strlen = func(c, 'size_t strlen(const char *text)');
 * console.log(strlen.name, strlen('text'), await strlen.async('text')); // strlen 4 4
 */
export interface CFunction<Prototype extends string, Ownership = undefined> {
  (...args: Args<Prototype, Ownership>): ResultOf<Prototype, Ownership>;
  /** The same off the event loop. What C works on is held until it is done. */
  async(...args: Args<Prototype, Ownership>): Promise<ResultOf<Prototype, Ownership>>;
  /** The name of the C function. */
  readonly name: string;
}

interface Failure<Raw> {
  /** Tells a failed call by its result. Default: a result of type `int` that is not 0, and always a NULL pointer. */
  readonly failed?: (result: Raw, ...args: any[]) => boolean;
  /**
   * Why it failed: a text, or a function of the result, the arguments and the address that C handed over, if it did.
   * Default: the errno.
   */
  readonly message?: string | ((result: Raw, ...args: any[]) => string);
  /** Parameters that the result needs: what is given for them lives as long as the result does. */
  readonly keeps?: readonly string[];
}

interface Handing<Raw> extends Failure<Raw> {
  /** Where the pointer is: the name of an `_Out_` parameter, or `parameter.member` of a struct. Default: the result. */
  readonly from?: string;
}

/**
 * What gives back what C hands over: the name of a function of the same library, or a destructor.
 *
 * @example
 * const byName: cslice.Free = 'free'; // of the same library
 * const byAddress: cslice.Free = destructor(c, 'free');
 */
export type Free = string | Destructor;

/**
 * In bytes: the name of a parameter, `parameter.member`, `'result'`, a number, or a function of the arguments.
 *
 * @example
 * const strndup = func(c, 'char *strndup(const char *text, size_t n)', {
 *   returns: 'bytes', free: 'free', size: (text, n) => Math.min(text.length, n) + 1, // or 'n', or 5
 * });
 * using copied = strndup('text', 2);
 * console.log(copied.text()); // te
 */
export type Size = string | number | ((...args: any[]) => number);

interface OwnedBytes<Raw> extends Handing<Raw> {
  readonly returns: 'bytes';
  readonly size: Size;
  readonly free: Free;
}
interface OwnedString<Raw> extends Handing<Raw> {
  readonly returns: 'string';
  /** `null`: C keeps its string, and nothing is freed. */
  readonly free: Free | null;
}
interface OwnedHandle<Raw> extends Handing<Raw> {
  readonly returns: 'handle';
  /** `null`: nothing runs, and the object only releases what it keeps. */
  readonly free: Free | null;
}
interface OwnedBlock<Raw> extends Handing<Raw> {
  readonly returns: 'block';
}
interface BorrowedView<Raw> extends Handing<Raw> {
  readonly returns: 'view';
  readonly size: Size;
  /** Handles whose next call, or release, ends the view. */
  readonly until?: readonly string[];
}
interface Plain<Raw> extends Failure<Raw> {
  readonly returns?: undefined;
  /** The parameter whose handle keeps what `keeps` names. Default: the function itself does, for good. */
  readonly by?: string;
}

/**
 * Who owns what a C function hands over.
 *
 * - `returns`: `'bytes'`, `'string'`, `'handle'`, `'block'` or `'view'`, or nothing for a plain function
 * - `from`: where the pointer is: an `_Out_` parameter, or `parameter.member`. Default: the result
 * - `size`: see {@link Size}
 * - `free`: see {@link Free}. `null`, for strings and handles: nothing is called
 * - `failed`: tells a failed call by the result and the arguments. Default: an `int` that is not 0, and NULL
 * - `message`: why it failed: a text, or a function of the result, the arguments and the address
 * - `keeps`: parameters that live as long as the result
 * - `by`: without `returns`, the parameter whose handle keeps them
 * - `until`: for views, the handles whose next call or release ends the view
 *
 * @example
 * const ownership = { returns: 'string', free: 'free' } satisfies cslice.Ownership;
 * const realpath = func(c, 'char *realpath(const char *path, char *resolved)', ownership);
 * console.log(realpath('/usr/..', null)); // /
 */
export type Ownership<Raw = any> =
  | OwnedBytes<Raw>
  | OwnedString<Raw>
  | OwnedHandle<Raw>
  | OwnedBlock<Raw>
  | BorrowedView<Raw>
  | Plain<Raw>;

type CallbackArgument<S extends string, Viewed> =
  Parse<WithoutDirection<Trim<S>>> extends infer P extends Declared
    ? P['name'] extends Viewed
      ? Uint8Array
      : Result<P>
    : unknown;

type CallbackArguments<S extends string, Viewed, Done extends unknown[] = []> =
  Trim<S> extends '' | 'void'
    ? Done
    : S extends `${infer First},${infer Rest}`
      ? CallbackArguments<Rest, Viewed, [...Done, CallbackArgument<First, Viewed>]>
      : [...Done, CallbackArgument<S, Viewed>];

/** What a callback gets: numbers, strings, addresses, and views where its options say so. */
export type CallbackParameters<S extends string, O> = string extends S
  ? any[]
  : [Split<S>] extends [never]
    ? any[]
    : CallbackArguments<Split<S>['list'], O extends { readonly views: infer V } ? keyof V : never>;

/** What it returns to C. */
export type CallbackResult<S extends string> = string extends S
  ? unknown
  : [Split<S>] extends [never]
    ? unknown
    : Split<S>['head']['stars'] extends 0
      ? Scalar<Split<S>['head']['of']>
      : unknown;
