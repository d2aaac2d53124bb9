// Loaded before a program with --require: the package then takes this Node for Electron.
const { versions } = process;
Object.defineProperty(process, 'versions', { value: Object.freeze({ ...versions, electron: '38.0.0' }) });
