// All tests, or those of the files that the command line names.
const isOfFile = process.argv.slice(2).some((argument) => argument.endsWith('.test.ts'));

module.exports = {
  ...(isOfFile ? {} : { spec: ['test/**/*.test.ts'] }),
  'node-option': ['import=tsx', 'expose-gc'],
  require: ['./test/helpers/quiet.ts'],
  timeout: 20000,
};
