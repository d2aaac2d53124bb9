// Loaded before a program with --require: this Node is then of a version that the package does not know.
const { versions } = process;
Object.defineProperty(process, 'versions', { value: Object.freeze({ ...versions, modules: '0' }) });
