/**
 * What API Extractor makes of the declarations that `tsc -p tsconfig.build.json` has written. As a program it puts those of
 * each entry point of the package into one file in dist: what a user's editor reads, without the inner modules.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const root = join(import.meta.dirname, '..');
const working = join(root, 'build/api');

interface Extracted {
  /** The file of all public signatures. */
  readonly report: string;
  /** The file with the comments, as JSON. */
  readonly model: string;
}

/** API Extractor carries a TypeScript of its own, so it reads declarations and not our sources. */
export function extract(entry: 'index' | 'metrics', rollup?: string): Extracted {
  mkdirSync(working, { recursive: true });
  const declarations = join(root, `build/types/${entry}.d.ts`);
  const model = join(working, `${entry}.api.json`);
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
        reportFileName: entry,
        reportTempFolder: join(working, 'temp'),
      },
      docModel: { enabled: true, apiJsonFilePath: model },
      dtsRollup: { enabled: rollup !== undefined, untrimmedFilePath: rollup ?? '' },
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
  return { report: join(working, `${entry}.api.md`), model };
}

if (process.argv[1] === import.meta.filename) {
  extract('index', join(root, 'dist/index.d.ts'));
  extract('metrics', join(root, 'dist/metrics.d.ts'));
}
