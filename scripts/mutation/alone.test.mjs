// For Stryker alone: what these modules do once in a process, the first test that reaches it has done for all. So their tests
// run once more, each file in a process of its own, and fail here if one of them fails.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const mocha = 'node_modules/mocha/bin/mocha.js';

describe('in a process of its own', () => {
  for (const name of ['node-guards', 'free-list']) {
    it(name, () => {
      const flags = [
        '--import=tsx',
        '--expose-gc',
        mocha,
        '--no-config',
        '--require=./test/helpers/quiet.ts',
        '--bail',
      ];
      const { status, stdout } = spawnSync(
        process.execPath,
        [...flags, '--timeout=60000', `test/unit/core/${name}.test.ts`],
        {
          encoding: 'utf8',
          timeout: 120_000,
        },
      );
      assert.equal(status, 0, stdout);
    });
  }
});
