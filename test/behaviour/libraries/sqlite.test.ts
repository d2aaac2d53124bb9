import { expect } from 'chai';
import koffi from 'koffi';
import { callback, func, type Handle, Slice, stats } from '../../../lib/index.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { expectError, wrong } from '../../helpers/expect-error.ts';
import { openLibrary } from '../../helpers/open-library.ts';

type Library = ReturnType<typeof koffi.load>;

const [ROW, DONE] = [100, 101];

function declare(lib: Library) {
  const errmsg = func(lib, 'const char *sqlite3_errmsg(sqlite3 *db)');
  const columnBytes = func(lib, 'int sqlite3_column_bytes(sqlite3_stmt *stmt, int i)');
  return {
    open: func(lib, 'int sqlite3_open(const char *path, _Out_ sqlite3 **db)', {
      returns: 'handle',
      from: 'db',
      free: 'sqlite3_close_v2',
      failed: (code) => code !== 0,
      message: (_, _path, db) => errmsg(db) ?? '',
    }),
    prepare: func(
      lib,
      'int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int n, _Out_ sqlite3_stmt **stmt, void *tail)',
      {
        returns: 'handle',
        from: 'stmt',
        free: 'sqlite3_finalize',
        keeps: ['db'],
        failed: (code) => code !== 0,
        message: (_, db) => errmsg(db) ?? '',
      },
    ),
    step: func(lib, 'int sqlite3_step(sqlite3_stmt *stmt)'),
    reset: func(lib, 'int sqlite3_reset(sqlite3_stmt *stmt)'),
    columnInt: func(lib, 'int64_t sqlite3_column_int64(sqlite3_stmt *stmt, int i)'),
    columnText: func(lib, 'const char *sqlite3_column_text(sqlite3_stmt *stmt, int i)'),
    columnBlob: func(lib, 'const void *sqlite3_column_blob(sqlite3_stmt *stmt, int i)', {
      returns: 'view',
      size: (stmt, i) => columnBytes(stmt, i),
      until: ['stmt'],
    }),
    bindBlob: func(lib, 'int sqlite3_bind_blob(sqlite3_stmt *stmt, int i, const void *bytes, int size, void *end)', {
      keeps: ['bytes'],
      by: 'stmt',
      failed: (code) => code !== 0,
    }),
    exec: func(lib, 'int sqlite3_exec(sqlite3 *db, const char *sql, void *row, void *context, _Out_ char **message)'),
    serialize: func(
      lib,
      'void *sqlite3_serialize(sqlite3 *db, const char *schema, _Out_ int64_t *size, unsigned int flags)',
      { returns: 'bytes', size: 'size', free: 'sqlite3_free' },
    ),
    createFunction: func(
      lib,
      'int sqlite3_create_function(sqlite3 *db, const char *name, int n, int encoding, void *context, void *call, void *step, void *final)',
      { keeps: ['call'], by: 'db', failed: (code) => code !== 0 },
    ),
    updateHook: func(lib, 'void *sqlite3_update_hook(sqlite3 *db, void *hook, void *context)', {
      keeps: ['hook'],
      by: 'db',
    }),
    valueInt: func(lib, 'int64_t sqlite3_value_int64(sqlite3_value *value)'),
    resultInt: func(lib, 'void sqlite3_result_int64(sqlite3_context *context, int64_t value)'),
    memoryUsed: func(lib, 'int64_t sqlite3_memory_used()'),
  };
}

describe('SQLite', () => {
  let sqlite: ReturnType<typeof declare>;

  before(function () {
    const lib = openLibrary(['libsqlite3.so.0', 'libsqlite3.dylib'], 'libsqlite3-0');
    if (lib === undefined) this.skip();
    else sqlite = declare(lib);
  });

  afterEach(() => collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'no handle is left'));

  function run(db: Handle<'sqlite3'>, sql: string): void {
    using statement = sqlite.prepare(db, sql, -1, null);
    sqlite.step(statement);
  }

  it('runs a query, in the thread and off the event loop', async () => {
    using db = sqlite.open(':memory:');
    using query = sqlite.prepare(db, "select 41 + 1, 'grüße'", -1, null);
    expect(sqlite.step(query)).to.equal(ROW);
    expect(sqlite.columnInt(query, 0)).to.equal(42);
    expect(sqlite.columnText(query, 1)).to.equal('grüße');
    expect(await sqlite.step.async(query)).to.equal(DONE);
    expect(stats().liveHandles).to.deep.equal({ sqlite3: 1, sqlite3_stmt: 1 });
  });

  it("tells the library's own message where a call fails, and keeps nothing of it", () => {
    const error = expectError(() => sqlite.open('/no/such/directory/file'), 'ERR_CSLICE_CALL', /unable to open/);
    expect(error).to.include({ function: 'sqlite3_open', result: 14 });
    using db = sqlite.open(':memory:');
    expectError(() => sqlite.prepare(db, 'selec', -1, null), 'ERR_CSLICE_CALL', /near "selec": syntax error/);
    expect(stats().liveHandles).to.deep.equal({ sqlite3: 1 });
  });

  it('refuses a database where a statement is expected', async () => {
    using db = sqlite.open(':memory:');
    expectError(() => sqlite.step(wrong(db)), 'ERR_CSLICE_TYPE', /sqlite3_step: stmt .*a handle of sqlite3/);
    const rejection = await sqlite.step.async(wrong(db)).catch((error: unknown) => error);
    expect(rejection).to.have.property('code', 'ERR_CSLICE_TYPE');
  });

  it('keeps a database that is released before its statements', () => {
    const db = sqlite.open(':memory:');
    const query = sqlite.prepare(db, 'select 7', -1, null);
    db.release();
    expect(stats().liveHandles).to.deep.equal({ sqlite3: 1, sqlite3_stmt: 1 });
    expect(sqlite.step(query)).to.equal(ROW);
    expectError(() => sqlite.prepare(db, 'select 1', -1, null), 'ERR_CSLICE_RELEASED', /sqlite3_prepare_v2: db/);
    query.release();
    expect(stats().liveHandles).to.deep.equal({});
  });

  it('closes what is dropped, statements before their database', async () => {
    (() => {
      const db = sqlite.open(':memory:');
      for (let i = 0; i < 20; i++) sqlite.step(sqlite.prepare(db, `select ${i}`, -1, null));
    })();
    expect(Number(sqlite.memoryUsed())).to.be.above(10_000);
    await collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'all have been closed');
  });

  it('serializes a database into a slice, off the event loop too, and an empty one into an empty slice', async () => {
    using db = sqlite.open(':memory:');
    using nothing = sqlite.serialize(db, 'main', 0);
    expect(nothing.byteLength).to.equal(0);
    run(db, 'create table t(a)');
    using image = sqlite.serialize(db, 'main', 0);
    using later = await sqlite.serialize.async(db, 'main', 0);
    expect(image.text(0, 15)).to.equal('SQLite format 3');
    expect(later.copy()).to.deep.equal(image.copy());
  });

  it('reads blobs in place, until the statement moves on', () => {
    using db = sqlite.open(':memory:');
    const query = sqlite.prepare(db, "values (x'010203'), (x'')", -1, null);
    sqlite.step(query);
    const blob = sqlite.columnBlob(query, 0) as Slice;
    expect([...blob.bytes]).to.deep.equal([1, 2, 3]);
    const { bytes } = blob;
    sqlite.step(query);
    expect([blob.released, bytes.length]).to.deep.equal([true, 0]);
    expect(sqlite.columnBlob(query, 0)).to.equal(null);
    sqlite.reset(query);
    sqlite.step(query);
    const last = sqlite.columnBlob(query, 0) as Slice;
    query.release();
    expect(last.released).to.equal(true);
    expect(stats().liveHandles).to.deep.equal({ sqlite3: 1 });
  });

  it('keeps a blob that is bound, for as long as the statement lives', async () => {
    using db = sqlite.open(':memory:');
    const query = sqlite.prepare(db, 'select ?', -1, null);
    const bound = Slice.fromBytes(Uint8Array.of(5, 6, 7));
    const before = stats().liveBlocks;
    sqlite.bindBlob(query, 1, bound, 3, null);
    bound.release();
    expect(stats().liveBlocks).to.equal(before);
    sqlite.step(query);
    expect([...(sqlite.columnBlob(query, 0) as Slice).bytes]).to.deep.equal([5, 6, 7]);
    query.release();
    expect(stats().liveBlocks).to.equal(before - 1);
  });

  it('calls a function of JavaScript from SQL, which lives as long as the database', async () => {
    using db = sqlite.open(':memory:');
    const { callbacks } = koffi.stats();
    (() => {
      const add = callback('void add(void *context, int n, void *values)', (context, _, values) => {
        const [a, b] = koffi.decode(values, koffi.array('void *', 2)) as [bigint, bigint];
        sqlite.resultInt(context, Number(sqlite.valueInt(a)) + Number(sqlite.valueInt(b)));
      });
      sqlite.createFunction(db, 'js_add', 2, 1, null, add, null, null);
    })();
    await settle(stats);
    using query = sqlite.prepare(db, 'select js_add(40, 2)', -1, null);
    expect(sqlite.step(query)).to.equal(ROW);
    expect(sqlite.columnInt(query, 0)).to.equal(42);
    query.release();
    db.release();
    await collectUntil(() => koffi.stats().callbacks === callbacks, 'the callback is unregistered');
  });

  it('throws from a call what a callback threw in it', () => {
    using db = sqlite.open(':memory:');
    const thrown = new Error('in the function');
    using fail = callback('void fail(void *context, int n, void *values)', () => {
      throw thrown;
    });
    sqlite.createFunction(db, 'fail', 0, 1, null, fail, null, null);
    using query = sqlite.prepare(db, 'select fail()', -1, null);
    expect(() => sqlite.step(query))
      .to.throw(Error)
      .that.equals(thrown);
  });

  it('tells an update hook of every row, until it is taken away', () => {
    using db = sqlite.open(':memory:');
    run(db, 'create table t(a)');
    const rows: unknown[] = [];
    using hook = callback(
      'void hook(void *context, int operation, const char *db, const char *table, int64_t row)',
      (_, operation, schema, table, row) => rows.push([operation, schema, table, row]),
    );
    sqlite.updateHook(db, hook, null);
    run(db, 'insert into t values (1)');
    sqlite.updateHook(db, null, null);
    run(db, 'insert into t values (2)');
    expect(rows).to.deep.equal([[18, 'main', 't', 1]]);
  });

  it('leaves a handle alone that a callback releases in the middle of its call', () => {
    using db = sqlite.open(':memory:');
    let running: Handle<'sqlite3_stmt'> | undefined;
    using gone = callback('void gone(void *context, int n, void *values)', (context) => {
      running?.release();
      expect(stats().liveHandles.sqlite3_stmt).to.equal(1);
      sqlite.resultInt(context, 3);
    });
    sqlite.createFunction(db, 'gone', 0, 1, null, gone, null, null);
    running = sqlite.prepare(db, 'select gone()', -1, null);
    expect(sqlite.step(running)).to.equal(ROW);
    expect(stats().liveHandles.sqlite3_stmt).to.equal(undefined);
  });
});
