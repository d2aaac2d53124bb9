type Warning = Error & { code?: string };

/** The warnings that tests provoke. Everything else still goes to stderr. */
const expected = [
  'CSLICE_COLLECTED',
  'CSLICE_DESTRUCTOR_THREW',
  'CSLICE_ENVIRONMENT',
  'CSLICE_RELEASED_IN_USE',
  'CSLICE_VIEW_LOCKED',
];

let printers: ((warning: Warning) => void)[] = [];

function print(warning: Warning): void {
  if (expected.includes(warning.code ?? '')) return;
  for (const printer of printers) printer(warning);
}

before(() => {
  printers = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', print);
});

after(() => {
  process.removeAllListeners('warning');
  for (const printer of printers) process.on('warning', printer);
});

/** The next process warning with this code, as its message. */
export function nextWarning(code: string): Promise<string> {
  return new Promise((resolve) => {
    const listener = (warning: Warning) => {
      if (warning.code !== code) return;
      process.off('warning', listener);
      resolve(warning.message);
    };
    process.on('warning', listener);
  });
}
