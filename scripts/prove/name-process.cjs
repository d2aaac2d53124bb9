// Loaded into every process of a sanitized run: which program a report is about, by its process id.
const { writeFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

if (isMainThread) writeFileSync(`${process.env.CSLICE_REPORTS}/${process.pid}.argv`, process.argv.slice(1).join(' '));
