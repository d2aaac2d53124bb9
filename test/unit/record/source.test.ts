import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { readStack, showFrame } from '../../../lib/record/source.ts';

/** Line 1 of the file, from column 0, is line 3 of original.ts, from column 0. */
const map = { version: 3, sources: ['original.ts'], names: [], mappings: 'AAEA' };

describe('frames of a stack', () => {
  let directory = '';

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'cslice-source-'));
  });

  after(() => rmSync(directory, { recursive: true, force: true }));

  function file(name: string, comment: string): string {
    const path = join(directory, name);
    writeFileSync(path, `work();\n${comment}\n`);
    return path;
  }

  const read = (frame: string) => readStack({ frames: [frame] })[0];
  const shown = (frame: string) => {
    const found = read(frame);
    return found === undefined ? undefined : showFrame(found);
  };

  it('are looked up in a map that stands in the file, though Node has not loaded it', () => {
    const inline = `//# sourceMappingURL=data:application/json;base64,${btoa(JSON.stringify(map))}`;
    const path = file('inline.js', inline);
    expect(shown(`work (${path}:1:1)`)).to.equal(`work (${join(directory, 'original.ts')}:3:1)`);
    expect(shown(`async work (${pathToFileURL(path).href}:1:1)`)).to.equal(
      `work (${join(directory, 'original.ts')}:3:1)`,
    );
  });

  it('are looked up in a map that stands beside the file', () => {
    writeFileSync(join(directory, 'beside.js.map'), JSON.stringify(map));
    const path = file('beside.js', '//# sourceMappingURL=beside.js.map');
    expect(read(`${path}:1:1`)).to.include({ name: '(anonymous)', file: join(directory, 'original.ts'), line: 3 });
  });

  it('are looked up in a map whose source is a URL', () => {
    const source = pathToFileURL(join(directory, 'elsewhere.ts')).href;
    const inline = Buffer.from(JSON.stringify({ ...map, sources: [source] })).toString('base64');
    const path = file('url.js', `//# sourceMappingURL=data:application/json;base64,${inline}`);
    expect(read(`work (${path}:1:1)`)?.file).to.equal(join(directory, 'elsewhere.ts'));
  });

  it('stay as they are where there is no map, or none that can be read', () => {
    const frames = [
      `work (${file('none.js', '')}:1:1)`,
      `work (${file('missing.js', '//# sourceMappingURL=missing.js.map')}:1:1)`,
      `work (${file('broken.js', '//# sourceMappingURL=data:application/json;base64,e30')}:1:1)`,
      `work (${join(directory, 'no-such-file.js')}:1:1)`,
      'work (file:///%zz.js:1:1)',
      'work (node:internal/fs:10:2)',
    ];
    for (const frame of frames) expect(shown(frame)).to.equal(frame);
  });

  it('have a name alone where V8 gives no place', () => {
    expect(shown('async Promise.all (index 0)')).to.equal('Promise.all');
    expect(shown('<anonymous>')).to.equal('<anonymous>');
    expect(shown('new Thing (native)')).to.equal('new Thing');
    expect(shown('')).to.equal('');
    expect(shown('two\nlines')).to.equal('two\nlines');
  });
});
