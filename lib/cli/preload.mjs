// Loaded by `cslice watch` into each Node process before its program, with --import. It writes what the process uses to a
// file, over the last report, since a socket would count among what the process has under way. Plain JavaScript: it comes
// before every loader.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const { CSLICE_WATCH: directory, CSLICE_WATCH_INTERVAL: interval } = process.env;

/** @type {NodeJS.Timeout | undefined} */
let timer;

function report() {
  const { heapUsed, rss } = process.memoryUsage();
  let native = null; // the process has not loaded cslice
  try {
    native = globalThis[Symbol.for('cslice.watched')]?.() ?? null;
  } catch {
    // it is as if it were not there
  }
  const path = join(directory, `${process.pid}.json`);
  const text = JSON.stringify({ pid: process.pid, time: Date.now(), heapUsed, rss, native });
  try {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path); // whoever reads it sees all of it
  } catch {
    clearInterval(timer); // the watcher is gone
  }
}

if (directory && isMainThread) {
  timer = setInterval(report, Number(interval) || 1000);
  timer.unref();
  process.on('exit', report);
  report();
}
