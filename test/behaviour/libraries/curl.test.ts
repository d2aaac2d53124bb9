import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type koffi from 'koffi';
import { callback, func, type Handle, stats } from '../../../lib/index.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { openLibrary } from '../../helpers/open-library.ts';

type Library = ReturnType<typeof koffi.load>;

const option = { url: 10002, write: 20011, timeout: 13 };

function declare(lib: Library) {
  const reasonOf = func(lib, 'const char *curl_easy_strerror(int code)');
  const checked = { failed: (code: unknown) => code !== 0, message: (code: unknown) => reasonOf(code as number) ?? '' };
  return {
    open: func(lib, 'CURL *curl_easy_init()', { returns: 'handle', free: 'curl_easy_cleanup' }),
    set: func(lib, 'int curl_easy_setopt(CURL *curl, int option, ...)', checked),
    setFunction: func(lib, 'int curl_easy_setopt(CURL *curl, int option, void *fn)', {
      ...checked,
      keeps: ['fn'],
      by: 'curl',
    }),
    perform: func(lib, 'int curl_easy_perform(CURL *curl)', checked),
  };
}

describe('libcurl', () => {
  let curl: ReturnType<typeof declare>;
  let server: Server;
  let url: string;
  const body = 'sent by the server '.repeat(5000);

  before(function (done) {
    const lib = openLibrary(['libcurl.so.4', 'libcurl.dylib'], 'libcurl4');
    if (lib === undefined) return this.skip();
    curl = declare(lib);
    server = createServer((request, response) => {
      if (request.url === '/cut')
        response.writeHead(200, { 'content-length': 1000 }).write('cut', () => response.destroy());
      else response.end(body);
    });
    server.listen(0, '127.0.0.1', () => {
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      done();
    });
  });

  after((done) => {
    if (server === undefined) done();
    else server.close(done);
  });

  afterEach(() => collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'no handle is left'));

  type Sink = (bytes: Uint8Array) => void;

  function request(path: string, sink: Sink): Handle<'CURL'> {
    const handle = curl.open();
    curl.set(handle, option.url, 'const char *', `${url}${path}`);
    curl.set(handle, option.timeout, 'long', 10);
    const write = callback(
      'size_t write(char *bytes, size_t size, size_t count, void *user)',
      { views: { bytes: (_, size, count) => Number(size) * Number(count) } },
      (bytes, size, count) => {
        sink(bytes);
        return Number(size) * Number(count);
      },
    );
    curl.setFunction(handle, option.write, write);
    return handle;
  }

  it('hands what it receives to a callback, as views that die with it', async () => {
    const parts: Buffer[] = [];
    const views: Uint8Array[] = [];
    using handle = request('/', (bytes) => {
      views.push(bytes);
      parts.push(Buffer.from(bytes));
    });
    await settle(stats); // the callback is kept by the handle alone
    await curl.perform.async(handle);
    expect(Buffer.concat(parts).toString()).to.equal(body);
    expect(views.map((view) => view.length)).to.deep.equal(views.map(() => 0));
  });

  it('rejects with what the callback threw', async () => {
    const thrown = new Error('in the sink');
    using handle = request('/', () => {
      throw thrown;
    });
    expect(await curl.perform.async(handle).catch((error: unknown) => error)).to.equal(thrown);
  });

  it('tells why a transfer failed: cut off, refused, no such host', async () => {
    using cut = request('/cut', () => {});
    const error = await curl.perform.async(cut).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'ERR_CSLICE_CALL', function: 'curl_easy_perform', result: 18 });
    using refused = curl.open();
    curl.set(refused, option.url, 'const char *', 'http://127.0.0.1:1/');
    expect(await curl.perform.async(refused).catch((reason: unknown) => reason)).to.include({ result: 7 });
  });

  it('ends a transfer whose handle is released in the middle, and then the handle', async () => {
    const handle = request('/', () => handle.release());
    await curl.perform.async(handle).catch(() => {});
    expect(handle.released).to.equal(true);
    expect(stats().liveHandles).to.deep.equal({});
  });
});
