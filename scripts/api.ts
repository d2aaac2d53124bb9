// Writes what the package promises: etc/cslice.api.md, the report of all public signatures, and docs/api.md, the
// reference, from the comments in the source. It fails if an export has no comment, no example or no section.
//
//   npm run api         writes both
//   npm run api:check   fails if one is not what the source says

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { type Item, referenceOf } from './api-reference.ts';

const root = join(import.meta.dirname, '..');
const isCheck = process.argv.includes('--check');
const working = join(root, 'build/api');
const model = join(working, 'cslice.api.json');
const declarations = join(root, 'dist/index.d.ts');

/** API Extractor carries a TypeScript of its own, which reads the declarations that ours has written. */
function extract(): void {
  mkdirSync(working, { recursive: true });
  const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  const { module, target, lib, strict } = compilerOptions;
  const configuration = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      compiler: {
        overrideTsconfig: {
          compilerOptions: { module, target, lib, strict, types: ['node'], skipLibCheck: true },
          files: [declarations],
        },
      },
      apiReport: {
        enabled: true,
        reportFolder: working,
        reportFileName: 'cslice',
        reportTempFolder: join(working, 'temp'),
      },
      docModel: { enabled: true, apiJsonFilePath: model },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Warning } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Warning },
          // Every export is public, and its comment is checked by api-reference.ts.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
          'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
          'ae-internal-missing-underscore': { logLevel: ExtractorLogLevel.None },
          // A type that a signature names and nobody can import is listed in the report.
          'ae-forgotten-export': { logLevel: ExtractorLogLevel.Warning, addToApiReportFile: true },
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } }, // the comments are JSDoc
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  });
  const { errorCount } = Extractor.invoke(configuration, {
    localBuild: true,
    messageCallback(message) {
      if (message.logLevel !== ExtractorLogLevel.Error) message.handled = true;
    },
  });
  if (errorCount > 0) throw new Error('API Extractor failed');
}

/** Writes a generated file, or says whether the one that is there is current. */
function put(path: string, text: string): boolean {
  const file = join(root, path);
  const current = existsSync(file) && readFileSync(file, 'utf8') === text;
  if (!isCheck) writeFileSync(file, text);
  else if (!current) console.error(`api: ${path} is not what the source says. Run: npm run api`);
  return current || !isCheck;
}

extract();
mkdirSync(join(root, 'etc'), { recursive: true });
const items: Item[] = JSON.parse(readFileSync(model, 'utf8')).members[0].members;
const report = readFileSync(join(working, 'cslice.api.md'), 'utf8').replaceAll('\r\n', '\n');
const reference = referenceOf(items, (file) => readFileSync(join(root, file), 'utf8'));
const results = [put('etc/cslice.api.md', report), put('docs/api.md', reference)];
if (results.includes(false)) process.exitCode = 1;
else console.log(`api: ${items.length} exports, ${isCheck ? 'report and reference are current' : 'written'}`);
