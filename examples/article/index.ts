// Every program of the article in turn, then the same idea on real input. Run it with: npm start
for (const program of [
  'random',
  'print',
  'copy',
  'get-data-copied',
  'get-data-borrowed',
  'collected',
  'whole',
  'real-input',
]) {
  await import(`./${program}.ts`);
}
