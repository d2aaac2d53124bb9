/** node:crypto in its asynchronous forms, and Web Crypto. */
import crypto from 'node:crypto';
import type { Writable } from 'node:stream';
import {
  type Bytes,
  type Consumer,
  collect,
  type Io,
  into,
  optional,
  out,
  streamed,
  type Traits,
} from '../consumer.ts';

const key = Buffer.alloc(32, 7);
const iv = Buffer.alloc(16, 9);
const { subtle } = crypto.webcrypto;
const pair = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const largest = 1 << 20;

type Digest = NonNullable<Traits['result']>;

const sha256: Digest = (bytes) => crypto.createHash('sha256').update(bytes).digest();
const hmac: Digest = (bytes) => crypto.createHmac('sha256', key).update(bytes).digest();
const ctr = (bytes: Uint8Array): Bytes => crypto.createCipheriv('aes-256-ctr', key, iv).update(bytes) as Bytes;
const pbkdf2: Digest = (bytes) => crypto.pbkdf2Sync(bytes, 'salt', 1, 32, 'sha256');
const scrypt: Digest = (bytes) => crypto.scryptSync(bytes, 'salt', 32, { N: 16 });
const hkdf: Digest = (bytes) => new Uint8Array(crypto.hkdfSync('sha256', bytes, 'salt', 'info', 32));
const yes = Uint8Array.of(1);

/** The callback of an operation whose result is what arrives. */
function result(io: Io): (error: Error | null, value?: ArrayBuffer | Uint8Array) => void {
  return (error, value) => {
    if (value !== undefined) io.took(value instanceof Uint8Array ? value : new Uint8Array(value));
    io.over(error);
  };
}

function settle(io: Io, promise: Promise<ArrayBuffer | Uint8Array>): void {
  promise.then((value) => result(io)(null, value), io.over);
}

function digesting(io: Io, stream: Writable & NodeJS.ReadableStream): Writable {
  collect(io, stream as never);
  return stream;
}

const derives: Readonly<Record<string, readonly [Digest, (io: Io) => (bytes: Bytes) => void]>> = {
  pbkdf2: [pbkdf2, (io) => (bytes) => crypto.pbkdf2(bytes, 'salt', 1, 32, 'sha256', result(io))],
  scrypt: [scrypt, (io) => (bytes) => crypto.scrypt(bytes, 'salt', 32, { N: 16 }, result(io))],
  hkdf: [hkdf, (io) => (bytes) => crypto.hkdf('sha256', bytes, 'salt', 'info', 32, result(io))],
  'pbkdf2 of a salt': [
    (bytes) => crypto.pbkdf2Sync('password', bytes, 1, 32, 'sha256'),
    (io) => (bytes) => crypto.pbkdf2('password', bytes, 1, 32, 'sha256', result(io)),
  ],
};

type Importable = 'AES-CTR' | 'HMAC' | 'PBKDF2';

function imported(name: Importable, usages: crypto.webcrypto.KeyUsage[]): Promise<crypto.webcrypto.CryptoKey> {
  const algorithm = name === 'HMAC' ? { name, hash: 'SHA-256' } : { name };
  return subtle.importKey('raw', key, algorithm, false, usages);
}

const counter = { name: 'AES-CTR', counter: iv, length: 128 };
const argon2 = optional<(algorithm: string, options: object, callback: (e: Error | null, b: Buffer) => void) => void>(
  crypto,
  'argon2',
);
const argon2Sync = optional<(algorithm: string, options: object) => Buffer>(crypto, 'argon2Sync');
const argon = { nonce: iv, parallelism: 1, tagLength: 32, memory: 8, passes: 1 };

export const cryptoConsumers: readonly Consumer[] = [
  ...streamed('crypto.Hash', { result: sha256 }, (io) => digesting(io, crypto.createHash('sha256')), ['end', 'queue']),
  ...streamed('crypto.Hmac', { result: hmac }, (io) => digesting(io, crypto.createHmac('sha256', key)), ['end']),
  ...streamed('crypto.Cipheriv', { decode: ctr }, (io) => {
    return digesting(io, crypto.createCipheriv('aes-256-ctr', key, iv));
  }),
  ...streamed(
    'crypto.Decipheriv',
    { encode: ctr },
    (io) => digesting(io, crypto.createDecipheriv('aes-256-ctr', key, iv)),
    ['end'],
  ),
  ...Object.entries(derives).map(([name, [whole, open]]) => {
    return out(`crypto.${name}`, { pool: true, largest, result: whole }, open);
  }),
  ...(argon2 === undefined || argon2Sync === undefined
    ? []
    : [
        out(
          'crypto.argon2',
          { pool: true, largest, result: (message) => argon2Sync('argon2id', { message, ...argon }) },
          (io) => (bytes) => argon2('argon2id', { message: bytes, ...argon }, result(io)),
        ),
      ]),
  out('crypto.sign', { pool: true, result: () => yes }, (io) => (bytes) => {
    const verify = (error: Error | null, signature: Buffer): void => {
      if (!error) io.took(Uint8Array.of(crypto.verify('sha256', io.content, pair.publicKey, signature) ? 1 : 0));
      io.over(error);
    };
    crypto.sign('sha256', bytes, pair.privateKey, verify);
  }),
  out('crypto.verify', { pool: true, result: () => yes }, (io) => {
    const signature = crypto.sign('sha256', io.content, pair.privateKey);
    const told = (error: Error | null | undefined, right: boolean): void => {
      if (!error) io.took(Uint8Array.of(right ? 1 : 0));
      io.over(error);
    };
    return (bytes) => crypto.verify('sha256', bytes, pair.publicKey, signature, told);
  }),
  out('crypto.checkPrime', { pool: true, largest: 100, encode: () => prime, result: () => yes }, (io) => {
    const told = (error: Error | null | undefined, right: boolean): void => {
      if (!error) io.took(Uint8Array.of(right ? 1 : 0));
      io.over(error);
    };
    return (bytes) => crypto.checkPrime(bytes, told);
  }),
  out('subtle.digest', { pool: true, result: sha256 }, (io) => (bytes) => settle(io, subtle.digest('SHA-256', bytes))),
  out('subtle.encrypt', { pool: true, decode: ctr }, async (io) => {
    const secret = await imported('AES-CTR', ['encrypt']);
    return (bytes) => settle(io, subtle.encrypt(counter, secret, bytes));
  }),
  out('subtle.decrypt', { pool: true, encode: ctr }, async (io) => {
    const secret = await imported('AES-CTR', ['decrypt']);
    return (bytes) => settle(io, subtle.decrypt(counter, secret, bytes));
  }),
  out('subtle.sign', { pool: true, result: hmac }, async (io) => {
    const secret = await imported('HMAC', ['sign']);
    return (bytes) => settle(io, subtle.sign('HMAC', secret, bytes));
  }),
  out('subtle.verify', { pool: true, result: () => yes }, async (io) => {
    const secret = await imported('HMAC', ['verify']);
    const signature = hmac(io.content);
    const told = (right: boolean): void => {
      io.took(Uint8Array.of(right ? 1 : 0));
      io.over();
    };
    return (bytes) => subtle.verify('HMAC', secret, signature, bytes).then(told, io.over);
  }),
  out('subtle.importKey', { largest: 100 }, (io) => {
    const exported = (imported: crypto.webcrypto.CryptoKey) => subtle.exportKey('raw', imported);
    const hash = { name: 'HMAC', hash: 'SHA-256' };
    return (bytes) => settle(io, subtle.importKey('raw', bytes, hash, true, ['sign']).then(exported) as never);
  }),
  out('subtle.deriveBits of a salt', { pool: true, largest: 65536, result: pbkdf2OfSalt }, async (io) => {
    const secret = await imported('PBKDF2', ['deriveBits']);
    return (salt) =>
      settle(io, subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: 1 }, secret, 256));
  }),
  into('crypto.randomFill', { pool: true, random: true }, (io) => {
    const filled = (error: Error | null, into: Uint8Array): void => io.filled(error, into?.byteLength ?? 0, into);
    return (bytes) => crypto.randomFill(bytes, filled);
  }),
];

function pbkdf2OfSalt(salt: Uint8Array): Uint8Array {
  return crypto.pbkdf2Sync(key, salt, 1, 32, 'sha256');
}

const prime = new Uint8Array(crypto.generatePrimeSync(512));
