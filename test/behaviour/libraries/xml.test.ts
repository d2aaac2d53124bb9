import { expect } from 'chai';
import koffi from 'koffi';
import { destructor, func, type Handle, stats } from '../../../lib/index.ts';
import { collectUntil, settle } from '../../helpers/collect.ts';
import { expectError } from '../../helpers/expect-error.ts';
import { openLibrary } from '../../helpers/open-library.ts';

type Library = ReturnType<typeof koffi.load>;

function declare(lib: Library) {
  /** `xmlFree` is a variable that holds a function. */
  const free = destructor(koffi.decode(lib.symbol('xmlFree'), 'void *') as bigint);
  const readNode = func(lib, 'xmlNode *xmlDocGetRootElement(const xmlDoc *doc)', {
    returns: 'handle',
    free: null,
    keeps: ['doc'],
  });
  return {
    read: func(
      lib,
      'xmlDoc *xmlReadMemory(const char *text, int size, const char *url, const char *encoding, int options)',
      { returns: 'handle', free: 'xmlFreeDoc', message: 'the document is not well-formed' },
    ),
    root: readNode,
    contentOf: func(lib, 'xmlChar *xmlNodeGetContent(const xmlNode *node)', { returns: 'string', free }),
    attribute: func(lib, 'xmlChar *xmlGetProp(const xmlNode *node, const char *name)', { returns: 'string', free }),
    firstChild: func(lib, 'xmlNode *xmlFirstElementChild(xmlNode *parent)', {
      returns: 'handle',
      free: null,
      keeps: ['parent'],
    }),
    dump: func(lib, 'void xmlDocDumpMemory(xmlDoc *doc, _Out_ xmlChar **text, _Out_ int *size)', {
      returns: 'bytes',
      from: 'text',
      size: 'size',
      free,
    }),
  };
}

const [noErrors, noWarnings] = [32, 64];
const quiet = noErrors | noWarnings;

describe('libxml2', () => {
  let xml: ReturnType<typeof declare>;

  before(function () {
    const lib = openLibrary(['libxml2.so.2', 'libxml2.dylib'], 'libxml2');
    if (lib === undefined) this.skip();
    else xml = declare(lib);
  });

  afterEach(() => collectUntil(() => Object.keys(stats().liveHandles).length === 0, 'no handle is left'));

  const text = '<list><item key="a">grüße</item></list>';

  function read(source = text): Handle<'xmlDoc'> {
    return xml.read(source, Buffer.byteLength(source), null, null, quiet);
  }

  it('reads a document, whose children keep it alive', () => {
    const doc = read();
    const root = xml.root(doc);
    const item = xml.firstChild(root);
    doc.release();
    root.release();
    expect(stats().liveHandles).to.deep.equal({ xmlDoc: 1, xmlNode: 2 });
    expect(xml.contentOf(item)).to.equal('grüße');
    expect(xml.attribute(item, 'key')).to.equal('a');
    item.release();
    expect(stats().liveHandles).to.deep.equal({});
  });

  it('keeps the document while only a child is reachable', async () => {
    const item = (() => xml.firstChild(xml.root(read())))();
    await settle(stats);
    expect(xml.contentOf(item)).to.equal('grüße');
    expect(stats().liveHandles.xmlDoc).to.equal(1);
    item.release();
    await collectUntil(() => stats().liveHandles.xmlDoc === undefined, 'the document is freed');
  });

  it('frees by a function that is in a variable', () => {
    using doc = read();
    using dumped = xml.dump(doc);
    expect(dumped.text()).to.include('<item key="a">');
  });

  it('reports documents that are not well-formed, and missing nodes', () => {
    for (const bad of ['', '<list>', 'no XML']) {
      expectError(() => read(bad), 'ERR_CSLICE_CALL', /xmlReadMemory failed: the document is not well-formed/);
    }
    using doc = read();
    using root = xml.root(doc);
    expectError(() => xml.attribute(root, 'none'), 'ERR_CSLICE_CALL', /xmlGetProp/);
    expectError(() => xml.root(root as never), 'ERR_CSLICE_TYPE', /doc .*a handle of xmlNode/);
  });
});
