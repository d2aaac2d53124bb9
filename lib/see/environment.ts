/** What the environment asks for, in the thread that loads the package. See docs/observability.md. */
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { collectGarbage } from '../core/collect.ts';
import { leastGuarded, setGuard } from '../core/guard.ts';
import { show } from '../errors.ts';
import { changeSettings } from '../record/record.ts';
import { leakReport } from './report.ts';
import './watched.ts';

const { CSLICE_GUARD, CSLICE_PROFILE, CSLICE_TRACK, CSLICE_LEAKS, CSLICE_LEAKS_SIGNAL } = process.env;

function isOff(value: string | undefined): value is undefined {
  return value === undefined || value === '' || value === '0';
}

function isOn(name: string, value: string | undefined): boolean {
  if (isOff(value)) return false;
  if (value !== '1') ignore(name, value, '0 or 1');
  return value === '1';
}

/** A variable must not stop a service: a wrong one is told and left out. */
function ignore(name: string, value: string, expected: string): void {
  process.emitWarning(`${name} must be ${expected}, got ${show(value)}: it is ignored`, {
    type: 'CSliceWarning',
    code: 'CSLICE_ENVIRONMENT',
  });
}

function sampleBytes(value: string | undefined): number {
  if (isOff(value)) return 0;
  const bytes = Number(value);
  if (Number.isSafeInteger(bytes) && bytes > 0 && bytes <= 2 ** 40) return bytes;
  ignore('CSLICE_PROFILE', value, 'a number of bytes from 1 to 2^40');
  return 0;
}

function guardedRate(value: string | undefined): number {
  if (isOff(value)) return 0;
  const every = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (every <= leastGuarded) return every;
  ignore('CSLICE_GUARD', value, '1, to guard every block, or n, to guard one of n');
  return 0;
}

function print(): void {
  process.stderr.write(`${leakReport().text}\n`);
}

/** Handles that were dropped end on the event loop: it gets one turn more. */
function lastTurn(): void {
  collectGarbage();
  setImmediate(() => {});
}

function reportAtExit(): void {
  collectGarbage(); // what was dropped is no leak
  const report = leakReport();
  process.stderr.write(`${report.text}\n`);
  if (report.blocks > 0 && (process.exitCode === undefined || process.exitCode === 0)) process.exitCode = 1;
}

/** False for a signal that the system lets nobody catch. */
function printAt(signal: NodeJS.Signals): boolean {
  try {
    process.on(signal, print);
    return true;
  } catch {
    return false;
  }
}

/** Node would take any name, as that of an event. */
function listen(signal: string): void {
  const isSignal = Object.hasOwn(constants.signals, signal);
  if (isSignal && printAt(signal as NodeJS.Signals)) return;
  ignore('CSLICE_LEAKS_SIGNAL', signal, 'the name of a signal that can be caught');
}

/** Does once what the variables say. */
export function readEnvironment(): void {
  const guarded = isMainThread ? guardedRate(CSLICE_GUARD) : 0; // for all threads
  if (guarded > 0) setGuard(guarded);
  const leaks = isOn('CSLICE_LEAKS', CSLICE_LEAKS);
  const profile = sampleBytes(CSLICE_PROFILE);
  const track = isOn('CSLICE_TRACK', CSLICE_TRACK) || leaks;
  if (profile > 0 || track)
    changeSettings({ ...(profile > 0 ? { sampleBytes: profile } : {}), ...(track ? { track } : {}) });
  if (leaks && isMainThread) {
    process.once('beforeExit', lastTurn);
    process.on('exit', reportAtExit);
  }
  if (track && isMainThread && (leaks || CSLICE_LEAKS_SIGNAL)) listen(CSLICE_LEAKS_SIGNAL || 'SIGUSR2');
}
