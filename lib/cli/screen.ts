/** What `watch` shows while the program runs: on a terminal a few lines that stay below the program's own output. */
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { type History, showBlocks, showBytes } from './history.ts';

const shownSites = 5;
const growthSamples = 30;

function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, width - 1)}…` : line;
}

/** The state in one line. */
function summary({ samples, usesCslice }: History): string {
  const last = samples.at(-1);
  if (last === undefined) return 'cslice watch: no Node process has reported yet';
  const { liveBytes, liveBlocks, retainedBytes, heapUsed, rss, processes } = last;
  const native = usesCslice
    ? `native ${showBytes(liveBytes)} in ${showBlocks(liveBlocks)} (+ ${showBytes(retainedBytes)} kept)`
    : 'native: cslice is not loaded';
  const many = processes === 1 ? '' : `, ${processes} processes`;
  return `cslice watch: ${native}, JS heap ${showBytes(heapUsed)}, RSS ${showBytes(rss)}${many}`;
}

function lines(history: History): string[] {
  const growing = history.growing(growthSamples).slice(0, shownSites);
  const rows = growing.map(({ place, bytes, growth }) => {
    const change = growth < 0 ? `-${showBytes(-growth)}` : `+${showBytes(growth)}`;
    return `  ${change.padStart(11)} ${showBytes(bytes).padStart(10)}  ${stripVTControlCharacters(place)}`;
  });
  return rows.length === 0 ? [summary(history)] : [summary(history), '       growth       live  allocated at', ...rows];
}

export class Screen {
  readonly #terminal: NodeJS.WriteStream;
  #shown = 0;
  /** Whether the program's output ended within a line, which ours must not join. */
  #isWithinLine = false;

  constructor(terminal: NodeJS.WriteStream) {
    this.#terminal = terminal;
  }

  get isLive(): boolean {
    return this.#terminal.isTTY;
  }

  show(history: History): void {
    if (!this.isLive) {
      this.#terminal.write(`${summary(history)}\n`);
      return;
    }
    this.clear();
    if (this.#isWithinLine) return;
    const width = this.#terminal.columns || 80;
    const text = lines(history).map((line) => cut(line, width - 1));
    this.#terminal.write(text.map((line) => `${line}\n`).join(''));
    this.#shown = text.length;
  }

  /** Takes our lines away. */
  clear(): void {
    if (this.#shown > 0) this.#terminal.write(`\x1b[${this.#shown}A\x1b[0J`);
    this.#shown = 0;
  }

  /** Lets the program's output through above our lines. */
  pass(from: Readable | null, to: NodeJS.WriteStream): void {
    from?.on('data', (data: Buffer) => {
      this.clear();
      this.#isWithinLine = data.at(-1) !== 10;
      to.write(data);
    });
  }
}
